/* The same through TLS, and whom the library does not believe. */
#include "engine/net/tls.h"
#include "tests/certificates.h"
#include "tests/client/rig.h"

static char folder[64];
static struct identity here, elsewhere;

static int make_certificates(void **state)
{
    (void)state;
    certificates_make_folder(folder);
    here = certificates_make(folder, "here", "127.0.0.1", 1, NULL);
    elsewhere = certificates_make(folder, "elsewhere", "elsewhere.test", 1, NULL);
    return 0;
}

static int remove_certificates(void **state)
{
    (void)state;
    certificates_free(&here);
    certificates_free(&elsewhere);
    certificates_remove(folder);
    return 0;
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
    struct tls *tls = open_tls(here.certificate_file, here.key_file, here.certificate_file);
    struct rig rig = {.fake = fake_open(&(struct fake_options){.is_tcp = true, .tls = tls})};
    struct flyover_client_options to = {.address = fake_address(rig.fake),
                                        .ca_file = here.certificate_file,
                                        .certificate_file = here.certificate_file,
                                        .key_file = here.key_file};
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
    refuse(here.certificate_file, here.key_file, elsewhere.certificate_file, "unknown authority");
}

static void an_engine_of_another_name_is_not_believed(void **state)
{
    (void)state;
    refuse(elsewhere.certificate_file, elsewhere.key_file, elsewhere.certificate_file,
           "another name");
}

static void a_plain_engine_is_not_taken_for_one_with_tls(void **state)
{
    (void)state;
    struct fake *fake = fake_open(&(struct fake_options){.is_tcp = true, .is_any = true});
    struct flyover_client_options to = {
        .address = fake_address(fake), .ca_file = here.certificate_file, .connect_ms = 100};
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
                                         .certificate_file = here.certificate_file};
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
