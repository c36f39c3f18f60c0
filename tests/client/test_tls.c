/* The same through TLS, and whom the library does not believe. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/net/tls.h"
#include "tests/client/certificate.h"
#include "tests/client/rig.h"

static char directory[] = "/tmp/flyover-tls-XXXXXX";

static const char *file(const char *name)
{
    static char paths[4][64];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static int make_certificates(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    certificate_make("IP:127.0.0.1", file("here.pem"), file("here.key"));
    certificate_make("DNS:elsewhere.test", file("elsewhere.pem"), file("elsewhere.key"));
    return 0;
}

static int remove_certificates(void **state)
{
    (void)state;
    static const char *const names[] = {"here.pem", "here.key", "elsewhere.pem", "elsewhere.key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(file(names[i]));
    return rmdir(directory);
}

static struct tls *open_tls(const char *certificate, const char *key, const char *ca)
{
    struct tls *tls;
    struct problem problem;
    struct tls_options options = {.certificate_file = certificate,
                                  .key_file = key,
                                  .ca_file = ca,
                                  .client_required = ca != NULL};
    if (tls_open(&options, &tls, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return tls;
}

static void sagas_go_through_tls_and_through_a_cut_of_it(void **state)
{
    (void)state;
    struct tls *tls = open_tls(file("here.pem"), file("here.key"), file("here.pem"));
    struct rig rig = {.fake = fake_open(&(struct fake_options){.is_tcp = true, .tls = tls})};
    struct flyover_client_options to = {.address = fake_address(rig.fake),
                                        .ca_file = file("here.pem"),
                                        .certificate_file = file("here.pem"),
                                        .key_file = file("here.key")};
    assert_int_equal(flyover_connect(&to, &rig.client), FLYOVER_OK);
    for (uint8_t i = 0; i < 60; i++)
        assert_int_equal(rig_send(&rig, i == 30 ? "cut" : "order", i, i % 2 == 0 ? "even" : NULL,
                                  FLYOVER_AT_BOTH),
                         FLYOVER_OK);
    uint32_t ended = 0, unknown = 0;
    while (ended + unknown < 60) {
        struct flyover_answer_message answer = rig_next(&rig);
        ended += answer.kind == FLYOVER_ENDED;
        unknown += answer.kind == FLYOVER_REFUSED_REQUEST && answer.status == FLYOVER_UNKNOWN;
    }
    assert_true(ended >= 30);
    assert_int_equal(fake_counts(rig.fake).connections, 2);
    assert_int_equal(flyover_send_subscribe(rig.client, NULL, NULL, NULL, 9), FLYOVER_OK);
    for (uint64_t i = 1; i <= FAKE_EVENTS; i++)
        assert_int_equal(rig_next(&rig).saga_id, i);
    rig_close(&rig);
    tls_close(tls);
}

static void refuse(const char *certificate, const char *key, const char *ca, const char *says)
{
    struct tls *tls = open_tls(certificate, key, NULL);
    struct fake *fake = fake_open(&(struct fake_options){.is_tcp = true, .tls = tls});
    struct flyover_client_options to = {.address = fake_address(fake), .ca_file = ca};
    struct flyover_client *client;
    assert_int_equal(flyover_connect(&to, &client), FLYOVER_NO_PERMISSION);
    if (strstr(flyover_connect_problem(), says) == NULL)
        fail_msg("%s", flyover_connect_problem());
    fake_close(fake);
    tls_close(tls);
}

static void an_engine_of_an_unknown_authority_is_not_believed(void **state)
{
    (void)state;
    refuse(file("here.pem"), file("here.key"), file("elsewhere.pem"), "unknown authority");
}

static void an_engine_of_another_name_is_not_believed(void **state)
{
    (void)state;
    refuse(file("elsewhere.pem"), file("elsewhere.key"), file("elsewhere.pem"), "another name");
}

static void a_plain_engine_is_not_taken_for_one_with_tls(void **state)
{
    (void)state;
    struct fake *fake = fake_open(&(struct fake_options){.is_tcp = true, .is_any = true});
    struct flyover_client_options to = {
        .address = fake_address(fake), .ca_file = file("here.pem"), .connect_ms = 100};
    struct flyover_client *client;
    assert_int_not_equal(flyover_connect(&to, &client), FLYOVER_OK);
    fake_close(fake);
}

static void files_that_cannot_be_used_are_named(void **state)
{
    (void)state;
    struct flyover_client *client;
    struct flyover_client_options to = {.address = "127.0.0.1:1", .ca_file = "/nonexistent.pem"};
    assert_int_equal(flyover_connect(&to, &client), FLYOVER_NOT_FOUND);
    assert_non_null(strstr(flyover_connect_problem(), "/nonexistent.pem"));
    to = (struct flyover_client_options){.address = "127.0.0.1:1",
                                         .certificate_file = file("here.pem")};
    assert_int_equal(flyover_connect(&to, &client), FLYOVER_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sagas_go_through_tls_and_through_a_cut_of_it),
        cmocka_unit_test(an_engine_of_an_unknown_authority_is_not_believed),
        cmocka_unit_test(an_engine_of_another_name_is_not_believed),
        cmocka_unit_test(a_plain_engine_is_not_taken_for_one_with_tls),
        cmocka_unit_test(files_that_cannot_be_used_are_named),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
