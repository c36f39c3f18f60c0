#include "engine/net/tls.h"
enum status tls_open(const struct tls_options *o, struct tls **t, struct problem *problem)
{
    (void)o;
    (void)t;
    return problem_set(problem, STATUS_UNSUPPORTED, "TLS is not built in");
}
void tls_close(struct tls *t)
{
    (void)t;
}
enum status tls_session_open(struct tls *t, const char *h, struct tls_session **s)
{
    (void)t;
    (void)h;
    (void)s;
    return STATUS_UNSUPPORTED;
}
void tls_session_close(struct tls_session *s)
{
    (void)s;
}
enum status tls_session_input(struct tls_session *s, const uint8_t *b, size_t c, struct problem *p)
{
    (void)s;
    (void)b;
    (void)c;
    (void)p;
    return STATUS_UNSUPPORTED;
}
size_t tls_session_read(struct tls_session *s, uint8_t *o, size_t c)
{
    (void)s;
    (void)o;
    (void)c;
    return 0;
}
enum status tls_session_write(struct tls_session *s, const uint8_t *b, size_t c)
{
    (void)s;
    (void)b;
    (void)c;
    return STATUS_UNSUPPORTED;
}
size_t tls_session_output(struct tls_session *s, uint8_t *o, size_t c)
{
    (void)s;
    (void)o;
    (void)c;
    return 0;
}
bool tls_session_is_ready(const struct tls_session *s)
{
    (void)s;
    return false;
}
void tls_session_finish(struct tls_session *s)
{
    (void)s;
}
