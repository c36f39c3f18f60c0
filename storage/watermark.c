#include "storage/watermark.h"

static const struct mark_kind kind = {
    .name = "watermark",
    .magic = {'F', 'L', 'Y', 'W'},
    .on_damage = "which block was acknowledged last: put the file back from a backup, or, to trust "
                 "the journal as it is, move the file away",
};

enum status watermark_open(struct watermark *watermark, const char *directory,
                           uint64_t *ret_block_no, struct problem *problem)
{
    return mark_open(&watermark->mark, &kind, directory, ret_block_no, problem);
}

enum status watermark_read(const char *directory, uint64_t *ret_block_no, struct problem *problem)
{
    return mark_read(&kind, directory, ret_block_no, problem);
}

enum status watermark_write(struct watermark *watermark, uint64_t block_no)
{
    return mark_write(&watermark->mark, block_no);
}

void watermark_close(struct watermark *watermark)
{
    mark_close(&watermark->mark);
}
