/* A shared object that is no plug-in. */
int no_entry_answer(void);

int no_entry_answer(void)
{
    return 42;
}
