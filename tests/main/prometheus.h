/*
 * prometheus: reads Prometheus's text format 0.0.4, line by line and strictly, for tests: each
 * sample behind HELP and TYPE of its name, no name and no sample twice, names and labels as the
 * format wants them, histograms whose buckets grow, end with +Inf and agree with their count.
 */
#ifndef TESTS_MAIN_PROMETHEUS_H
#define TESTS_MAIN_PROMETHEUS_H

#include <stdbool.h>

/* Fails the test, with the line, where it is not so. */
void prometheus_check(const char *page);
/* The value of a sample, written as it stands there: "flyover_sagas_total{outcome=\"failed\"}".
 * Fails the test where it is not there. */
double prometheus_value(const char *page, const char *sample);
bool prometheus_has(const char *page, const char *sample);

#endif
