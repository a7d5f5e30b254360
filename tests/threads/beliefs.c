/* beliefs - many threads give evidence of the same endpoints at once: a plain program, because Criterion does
 * not start under ThreadSanitizer, which is to look at it. Whatever the order, what is counted must add up in
 * the end: endpoints in each state, those that are out for errors and silence, changes. Exit status 0, or 1
 * and what is wrong on standard error. */
#include <err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "health/belief.h"

#define THREADS	   4
#define ENDPOINTS  6
#define ROUNDS	   300
#define TURNS	   300
#define SHARE	   50
#define ERRORS_MAX 3

static struct verdicts verdicts;
static struct belief beliefs[ENDPOINTS];
static pthread_barrier_t begun, ended;
static _Atomic uint64_t doubts;

static void on_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	if (belief->verdicts != &verdicts)
		errx(1, "doubt of an endpoint of somebody else");
	doubts++;
}

/* Errors and silence, probes that pass, ejections that end: more of what moves an endpoint than of what says
 * nothing. */
static enum evidence draw_evidence(struct random *random)
{
	static const enum evidence common[] = {EVIDENCE_ANSWERED, EVIDENCE_RESET, EVIDENCE_STATUS_5XX,
		EVIDENCE_SILENT, EVIDENCE_PROBE_PASSED, EVIDENCE_EJECTION_OVER, EVIDENCE_CONNECT_REFUSED,
		EVIDENCE_IDLE_CLOSED};
	if (random_below(random, 8) > 0)
		return common[random_below(random, ARRAY_SIZE(common))];
	return (enum evidence)random_below(random, EVIDENCE_COUNT);
}

static void *run_thread(void *arg)
{
	struct random random;
	(void)arg;
	if (!random_seed(&random))
		errx(1, "no entropy");
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&begun);
		for (int turn = 0; turn < TURNS; turn++) {
			struct belief *belief = &beliefs[random_below(&random, ENDPOINTS)];
			uint64_t now_ms = clock_coarse_ms();
			/* Some of it is stale. */
			belief_weigh(
				belief, draw_evidence(&random), now_ms - random_below(&random, 3), now_ms);
		}
		pthread_barrier_wait(&ended);
	}
	return NULL;
}

static uint64_t changes_to(size_t state)
{
	uint64_t sum = 0;
	for (size_t evidence = 0; evidence < EVIDENCE_COUNT; evidence++)
		sum += atomic_load(&verdicts.entered[state][evidence]);
	return sum;
}

static uint64_t changes(void)
{
	uint64_t sum = 0;
	for (size_t state = 0; state < BELIEF_STATE_COUNT; state++)
		sum += changes_to(state);
	return sum;
}

/* Nobody weighs anything now. */
static void check_counts(void)
{
	uint32_t in_state[BELIEF_STATE_COUNT] = {0}, softly_out = 0;
	for (size_t i = 0; i < ENDPOINTS; i++) {
		in_state[belief_state(&beliefs[i])]++;
		softly_out += (atomic_load(&beliefs[i].word) & BELIEF_WORD_SOFT) != 0;
	}
	for (size_t state = 0; state < BELIEF_STATE_COUNT; state++)
		if (atomic_load(&verdicts.in_state[state]) != in_state[state])
			errx(1, "%u endpoints are %s, and %u are counted", in_state[state],
				belief_state_text((enum belief_state)state),
				atomic_load(&verdicts.in_state[state]));
	if (atomic_load(&verdicts.softly_out) != softly_out)
		errx(1, "%u endpoints are out for errors and silence, and %u are counted", softly_out,
			atomic_load(&verdicts.softly_out));
	if (softly_out > ENDPOINTS * SHARE / 100)
		errx(1, "%u endpoints of %d are out, more than %d %%", softly_out, ENDPOINTS, SHARE);
	/* From ejected to probing and back is the same to them. */
	uint32_t told = atomic_load(&verdicts.generation) - 1;
	if (told > changes() || told < changes() - changes_to(BELIEF_EJECTED) - changes_to(BELIEF_PROBING))
		errx(1, "rosters were told %u times of %llu changes", told, (unsigned long long)changes());
}

static void begin_endpoints(void)
{
	static char names[ENDPOINTS][16];
	for (size_t i = 0; i < ENDPOINTS; i++) {
		snprintf(names[i], sizeof(names[i]), "10.0.0.%zu:80", i);
		belief_init(&beliefs[i], names[i], &verdicts, clock_coarse_ms());
	}
}

static void end_endpoints(void)
{
	for (size_t i = 0; i < ENDPOINTS; i++)
		belief_finish(&beliefs[i]);
	for (size_t state = 0; state < BELIEF_STATE_COUNT; state++)
		if (atomic_load(&verdicts.in_state[state]) != 0)
			errx(1, "some are counted as %s though none is left",
				belief_state_text((enum belief_state)state));
	if (atomic_load(&verdicts.softly_out) != 0)
		errx(1, "some are counted as out though none is left");
}

int main(void)
{
	const struct belief_rules rules = {
		.errors_max = ERRORS_MAX, .ejected_share = SHARE, .ejection_ms = 1, .ejection_max_ms = 4};
	pthread_t threads[THREADS];
	log_configure(LOG_KEY_VALUE, LOG_ERROR);
	verdicts_init(&verdicts, "service", &rules);
	verdicts_set_count(&verdicts, ENDPOINTS);
	verdicts.on_doubt = on_doubt;
	pthread_barrier_init(&begun, NULL, THREADS + 1);
	pthread_barrier_init(&ended, NULL, THREADS + 1);
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, run_thread, NULL) != 0)
			errx(1, "no thread");
	for (int round = 0; round < ROUNDS; round++) {
		begin_endpoints();
		pthread_barrier_wait(&begun);
		pthread_barrier_wait(&ended);
		check_counts();
		end_endpoints();
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	if (changes() < ROUNDS || doubts == 0)
		errx(1, "%llu changes and %llu doubts: nothing was tested", (unsigned long long)changes(),
			(unsigned long long)doubts);
	return 0;
}
