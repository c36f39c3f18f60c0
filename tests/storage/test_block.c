#include "storage/block.h"

#include "engine/base/crc32c.h"
#include "tests/storage/scratch.h"

static struct scratch_chain chain;
static struct problem problem;

static int set_up(void **state)
{
    (void)state;
    memset(&chain, 0, sizeof chain);
    memset(&problem, 0, sizeof problem);
    return 0;
}

static void a_sealed_block_reads_back_as_it_was(void **state)
{
    (void)state;
    memcpy(chain.block + BLOCK_HEADER_BYTES, "records", 7);
    struct block_header header = {
        .block_no = 0x1122334455667788u,
        .durable_no = 0x1122334455667780u,
        .now_ms = -5,
        .body_bytes = 7,
        .record_count = 2,
        .prev_crc = 0xdeadbeef,
        .epoch = 9,
        .partition = 4,
    };
    block_seal(chain.block, &header);
    struct block_header read;
    assert_int_equal(
        block_decode(chain.block, BLOCK_HEADER_BYTES + 7, header.block_no, &read, &problem),
        STATUS_OK);
    /* Up to the last field: what pads the struct is nobody's. */
    assert_memory_equal(&read, &header,
                        offsetof(struct block_header, header_crc) + sizeof header.header_crc);
    assert_int_equal(read.body_crc, crc32c(0, "records", 7));
}

/* The layout is on disk for good: these bytes may only change with BLOCK_VERSION. */
static void the_bytes_stand_where_the_header_draws_them(void **state)
{
    (void)state;
    struct block_header header = {
        .block_no = 1,
        .durable_no = 2,
        .now_ms = 3,
        .record_count = 4,
        .prev_crc = 5,
        .epoch = 6,
        .partition = 7,
    };
    block_seal(chain.block, &header);
    static const uint8_t expected[60] = {'F', 'L', 'Y', 'B', 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
                                         0,   0,   0,   0,   0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0,
                                         0,   0,   6,   0,   0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 0,
                                         0,   0,   0,   2,   0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_memory_equal(chain.block, expected, sizeof expected);
}

static void every_flipped_bit_is_damage(void **state)
{
    (void)state;
    struct journal_slice block = scratch_next_block(&chain, 100);
    for (size_t bit = 0; bit < block.bytes_count * 8; bit++) {
        struct block_header header = {.block_no = 77};
        chain.block[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(block_decode(block.bytes, block.bytes_count, 1, &header, &problem),
                         STATUS_CORRUPT);
        assert_int_equal(header.block_no, 77);
        chain.block[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_block_cut_short_anywhere_is_damage(void **state)
{
    (void)state;
    struct journal_slice block = scratch_next_block(&chain, 100);
    struct block_header header;
    for (size_t bytes = 0; bytes < block.bytes_count; bytes++) {
        uint8_t *exact = malloc(bytes + 1);
        memcpy(exact, block.bytes, bytes);
        assert_int_equal(block_decode(exact, bytes, 1, &header, &problem), STATUS_CORRUPT);
        free(exact);
    }
    assert_int_equal(block_decode(block.bytes, block.bytes_count + 1, 1, &header, &problem),
                     STATUS_CORRUPT);
}

static void a_block_under_another_number_is_damage(void **state)
{
    (void)state;
    struct journal_slice block = scratch_next_block(&chain, 10);
    struct block_header header;
    assert_int_equal(block_decode(block.bytes, block.bytes_count, 2, &header, &problem),
                     STATUS_CORRUPT);
    assert_non_null(strstr(problem.text, "block 2 is damaged: block 1 stands in its place"));
}

static void a_newer_version_is_named_and_not_called_damage(void **state)
{
    (void)state;
    struct journal_slice block = scratch_next_block(&chain, 10);
    chain.block[4] = BLOCK_VERSION + 1;
    uint32_t crc = crc32c(0, chain.block, 60);
    memcpy(chain.block + 60, &crc, sizeof crc);
    struct block_header header;
    assert_int_equal(block_decode(block.bytes, block.bytes_count, 1, &header, &problem),
                     STATUS_NEWER_FORMAT);
    assert_int_equal(problem.status, STATUS_NEWER_FORMAT);
    assert_non_null(strstr(problem.text, "newer flyover"));
}

static void the_next_of_the_chain_follows(void **state)
{
    (void)state;
    struct block_header first = {.block_no = 1};
    struct block_header second = {.block_no = 2, .prev_crc = 99};
    assert_int_equal(block_follows(&first, 0, 0, &problem), STATUS_OK);
    assert_int_equal(block_follows(&second, 1, 99, &problem), STATUS_OK);
}

static void missing_blocks_are_a_gap_that_is_named(void **state)
{
    (void)state;
    struct block_header third = {.block_no = 3};
    struct block_header ninth = {.block_no = 9};
    assert_int_equal(block_follows(&third, 1, 0, &problem), STATUS_GAP);
    assert_string_equal(problem.text, "block 2 is missing");
    assert_int_equal(block_follows(&ninth, 1, 0, &problem), STATUS_GAP);
    assert_string_equal(problem.text, "blocks 2 to 8 are missing");
    assert_int_equal(block_follows(&third, 0, 0, &problem), STATUS_GAP);
}

static void a_doubled_block_and_one_of_another_journal_break_the_chain(void **state)
{
    (void)state;
    struct block_header header = {.block_no = 2, .prev_crc = 98};
    assert_int_equal(block_follows(&header, 2, 98, &problem), STATUS_CORRUPT);
    assert_int_equal(block_follows(&header, 3, 98, &problem), STATUS_CORRUPT);
    assert_int_equal(block_follows(&header, 1, 99, &problem), STATUS_CORRUPT);
    struct block_header first = {.block_no = 1, .prev_crc = 1};
    assert_int_equal(block_follows(&first, 0, 0, &problem), STATUS_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_sealed_block_reads_back_as_it_was, set_up),
        cmocka_unit_test_setup(the_bytes_stand_where_the_header_draws_them, set_up),
        cmocka_unit_test_setup(every_flipped_bit_is_damage, set_up),
        cmocka_unit_test_setup(a_block_cut_short_anywhere_is_damage, set_up),
        cmocka_unit_test_setup(a_block_under_another_number_is_damage, set_up),
        cmocka_unit_test_setup(a_newer_version_is_named_and_not_called_damage, set_up),
        cmocka_unit_test_setup(the_next_of_the_chain_follows, set_up),
        cmocka_unit_test_setup(missing_blocks_are_a_gap_that_is_named, set_up),
        cmocka_unit_test_setup(a_doubled_block_and_one_of_another_journal_break_the_chain, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
