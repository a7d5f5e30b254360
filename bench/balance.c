/* balance - what a choice among many endpoints costs a worker, and what a change of one of them does.
 * Usage: bench_balance COUNT TRIALS. Prints for each policy, with equal and with different weights:
 * policy, weights, ns of a choice with its end, then median and 99th percentile in us of what a worker does
 * when one endpoint is added, removed, put out and let in again, each with the choice that follows it, and
 * bytes of a worker's for each endpoint. */
#include "balance/roster.h"
#include "base/clock.h"
#include "base/log.h"
#include "upstream/pool.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS	  2
#define IN_FLIGHT 64
#define BATCH	  256

enum change { CHANGE_REMOVED, CHANGE_ADDED, CHANGE_OUT, CHANGE_IN, CHANGE_COUNT };

struct bench {
	size_t count;
	size_t trials;
	bool is_weighted;
	struct verdicts verdicts;
	struct backend **backends;
	struct roster roster;
	struct random random;
	struct member *busy[IN_FLIGHT];
	size_t turn;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "bench_balance: %s\n", what);
	exit(1);
}

/* ---- Parts of a proxy ------------------------------------------------------------------------ */

static bool on_added(void *owner, struct member *member)
{
	(void)owner;
	member->pool = calloc(1, sizeof(*member->pool));
	return member->pool != NULL;
}

static void on_ejected(void *owner, struct member *member)
{
	(void)owner;
	(void)member;
}

static void on_gone(void *owner, struct member *member)
{
	(void)owner;
	free(member->pool);
}

static const struct roster_events events = {
	.on_added = on_added, .on_ejected = on_ejected, .on_leaving = on_ejected, .on_gone = on_gone};

static void on_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	(void)belief;
}

static void weigh(struct backend *backend, enum evidence evidence)
{
	uint64_t now_ms = clock_coarse_ms();
	belief_weigh(&backend->belief, evidence, now_ms, now_ms);
}

/* All but one; none is left out with `without` = the count. */
static struct fleet *make_fleet(const struct bench *bench, size_t without)
{
	struct fleet *fleet = fleet_new(0, 1, 0, bench->count);
	if (fleet == NULL)
		fail("no memory");
	for (size_t i = 0; i < bench->count; i++)
		if (i != without)
			fleet_append(fleet, bench->backends[i], bench->is_weighted ? 1 + (uint32_t)i % 7 : 1,
				NULL);
	return fleet;
}

static void make_backends(struct bench *bench)
{
	const struct belief_rules rules = {
		.errors_max = 5, .ejected_share = 100, .ejection_ms = 1000, .ejection_max_ms = 1000};
	union address address = {.ipv4 = {.sin_family = AF_INET, .sin_port = htons(80)}};
	verdicts_init(&bench->verdicts, "bench", &rules);
	bench->verdicts.on_doubt = on_doubt;
	bench->backends = calloc(bench->count, sizeof(struct backend *));
	for (size_t i = 0; bench->backends != NULL && i < bench->count; i++) {
		char name[64];
		snprintf(name, sizeof(name), "10.%zu.1%02zu.1%02zu:8080", i / 10000, i / 100 % 100, i % 100);
		bench->backends[i] = backend_new(name, &address, 1, WORKERS, &bench->verdicts);
		if (bench->backends[i] == NULL)
			fail("no memory");
		weigh(bench->backends[i], EVIDENCE_PROBE_PASSED);
	}
}

/* ---- Measuring ------------------------------------------------------------------------------- */

/* One request begins, and the one that began IN_FLIGHT before ends. */
static void choose(struct bench *bench)
{
	struct member **place = &bench->busy[bench->turn++ % IN_FLIGHT];
	if (*place != NULL)
		roster_done(&bench->roster, *place, EVIDENCE_ANSWERED, 0);
	*place = roster_pick(&bench->roster, &bench->random, NULL, 0);
	if (*place == NULL)
		fail("nothing to choose");
	roster_begin(&bench->roster, *place);
}

static void end_all(struct bench *bench)
{
	for (size_t i = 0; i < IN_FLIGHT; i++) {
		if (bench->busy[i] != NULL)
			roster_done(&bench->roster, bench->busy[i], EVIDENCE_ANSWERED, 0);
		bench->busy[i] = NULL;
	}
}

static int compare(const void *left, const void *right)
{
	double one = *(const double *)left, other = *(const double *)right;
	return one < other ? -1 : one > other;
}

static double quantile(double *values, size_t count, double share)
{
	qsort(values, count, sizeof(values[0]), compare);
	return values[(size_t)(share * (double)(count - 1))];
}

static double measure_choice(struct bench *bench, double *values)
{
	for (size_t trial = 0; trial < bench->trials; trial++) {
		uint64_t began_ns = now_ns();
		for (size_t i = 0; i < BATCH; i++)
			choose(bench);
		values[trial] = (double)(now_ns() - began_ns) / BATCH;
	}
	return quantile(values, bench->trials, 0.5);
}

/* The set goes from one fleet to the next, or a verdict changes; requests go on in between. */
static double measure_change(struct bench *bench, enum change change, size_t index, struct fleet **held)
{
	if (change == CHANGE_OUT || change == CHANGE_IN)
		weigh(bench->backends[index],
			change == CHANGE_OUT ? EVIDENCE_CONNECT_REFUSED : EVIDENCE_PROBE_PASSED);
	struct fleet *before = *held;
	if (change == CHANGE_REMOVED || change == CHANGE_ADDED)
		*held = make_fleet(bench, change == CHANGE_REMOVED ? index : bench->count);
	for (size_t i = 0; *held != before && i < BATCH; i++)
		choose(bench);
	uint64_t began_ns = now_ns();
	if (*held != before && !roster_update(&bench->roster, *held))
		fail("no memory");
	choose(bench);
	double us = (double)(now_ns() - began_ns) / 1000;
	if (*held != before)
		fleet_unref(&before);
	for (size_t i = 0; i < BATCH; i++)
		choose(bench);
	return us;
}

static void measure(struct bench *bench, const struct policy *policy)
{
	const struct policy_settings settings = {.choices = 2};
	double *values[CHANGE_COUNT];
	struct fleet *held = make_fleet(bench, bench->count);
	memset(bench->busy, 0, sizeof(bench->busy));
	size_t bytes_before = mallinfo2().uordblks + mallinfo2().hblkhd;
	roster_init(&bench->roster, policy, &settings, &bench->verdicts, 0, &events, bench);
	if (!roster_update(&bench->roster, held))
		fail("no memory");
	size_t bytes = mallinfo2().uordblks + mallinfo2().hblkhd - bytes_before;
	for (size_t change = 0; change < CHANGE_COUNT; change++)
		values[change] = calloc(bench->trials, sizeof(double));
	double choice_ns = measure_choice(bench, values[0]);
	for (size_t trial = 0; trial < bench->trials; trial++) {
		size_t index = random_below(&bench->random, (uint32_t)bench->count);
		for (size_t change = 0; change < CHANGE_COUNT; change++)
			values[change][trial] = measure_change(bench, (enum change)change, index, &held);
	}
	printf("%s\t%s\t%.0f", policy->name, bench->is_weighted ? "1 to 7" : "equal", choice_ns);
	for (size_t change = 0; change < CHANGE_COUNT; change++) {
		double median = quantile(values[change], bench->trials, 0.5);
		printf("\t%.1f\t%.1f", median, quantile(values[change], bench->trials, 0.99));
		free(values[change]);
	}
	printf("\t%zu\n", bytes / bench->count);
	fflush(stdout);
	end_all(bench);
	roster_finish(&bench->roster);
	fleet_unref(&held);
}

int main(int argc, char **argv)
{
	static const struct policy *const policies[] = {&policy_random, &policy_least_requests,
		&policy_round_robin, &policy_peak_ewma, &policy_ring_hash};
	struct bench bench = {0};
	if (argc == 3) {
		bench.count = (size_t)strtoull(argv[1], NULL, 10);
		bench.trials = (size_t)strtoull(argv[2], NULL, 10);
	}
	if (bench.count < 2 || bench.trials == 0 || !random_seed(&bench.random)) {
		fprintf(stderr, "usage: bench_balance COUNT TRIALS\n");
		return 64;
	}
	log_configure(LOG_KEY_VALUE, LOG_ERROR);
	make_backends(&bench);
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		for (int is_weighted = 0; is_weighted < 2; is_weighted++) {
			bench.is_weighted = is_weighted != 0;
			measure(&bench, policies[i]);
		}
	for (size_t i = 0; i < bench.count; i++)
		backend_unref(&bench.backends[i]);
	free(bench.backends);
	return 0;
}
