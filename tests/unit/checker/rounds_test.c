/* Who is looked at next. */
#include "checker/rounds.h"

#include "loop_until.h"
#include "peer.h"

#include <stdlib.h>

#define WARDS 400

static struct loop loop;
static struct rounds rounds;
static struct ward *wards;
static size_t ward_count;
static int dead = -1, living = -1;
static struct sockaddr_in dead_address, living_address;
static uint32_t looked[WARDS]; /* how often */
static size_t order[4 * WARDS], order_count;
static enum evidence outcomes[WARDS];
static bool is_refusing;  /* on_turn says no */
static uint64_t again_ms; /* those that are dead are looked at again after so long; 0: never */

static bool on_turn(void *owner, struct ward *ward, struct probe_plan *plan)
{
	cr_expect_eq(owner, &rounds);
	plan->timeout_ms = LOOP_UNTIL_MS;
	if (order_count < sizeof(order) / sizeof(order[0]))
		order[order_count++] = (size_t)(ward - wards);
	return !is_refusing;
}

static void on_probed(void *owner, struct ward *ward, enum evidence evidence)
{
	(void)owner;
	looked[ward - wards]++;
	outcomes[ward - wards] = evidence;
	if (evidence == EVIDENCE_PROBE_REFUSED && again_ms > 0)
		rounds_look_at(ward, clock_coarse_ms() + again_ms);
}

static const struct rounds_events events = {.on_turn = on_turn, .on_probed = on_probed};

static void setup(void)
{
	cr_assert(loop_init(&loop, 4096));
	rounds_init(&rounds, &loop, &events, &rounds);
	dead = peer_listen(&dead_address, false);
	living = peer_listen(&living_address, true);
	wards = calloc(WARDS, sizeof(*wards));
	cr_assert_not_null(wards);
}

static void teardown(void)
{
	for (size_t i = 0; i < ward_count; i++) {
		rounds_leave(&wards[i]);
		backend_unref(&wards[i].backend);
	}
	loop_finish(&loop);
	rounds_finish(&rounds);
	close(dead);
	close(living);
	free(wards);
}

TestSuite(rounds, .init = setup, .fini = teardown);

static struct ward *add(bool is_living)
{
	const union address address = {.ipv4 = is_living ? living_address : dead_address};
	struct ward *ward = &wards[ward_count++];
	ward->backend = backend_new("a:1", &address, 1, 1, NULL);
	cr_assert_not_null(ward->backend);
	rounds_add(&rounds, ward);
	return ward;
}

static bool is_each_looked_at(void *arg)
{
	for (size_t i = 0; i < ward_count; i++)
		if (looked[i] < *(uint32_t *)arg)
			return false;
	return true;
}

static void wait_for_looks(uint32_t count)
{
	cr_assert(loop_until(&loop, is_each_looked_at, &count, LOOP_UNTIL_MS));
}

Test(rounds, outcomes)
{
	rounds_look(add(true), PACING_URGENT);
	rounds_look(add(false), PACING_URGENT);
	rounds_run(&rounds);
	wait_for_looks(1);
	cr_expect_eq(outcomes[0], EVIDENCE_PROBE_PASSED);
	cr_expect_eq(outcomes[1], EVIDENCE_PROBE_REFUSED);
	cr_expect_eq(rounds.pacing.in_flight[PACING_URGENT], 0);
}

Test(rounds, twice_in_line_is_once)
{
	struct ward *ward = add(false);
	rounds_look(ward, PACING_REGULAR);
	rounds_look(ward, PACING_REGULAR);
	rounds_look(ward, PACING_URGENT);
	rounds_look(ward, PACING_REGULAR);
	cr_expect_eq(ward->kind, PACING_URGENT);
	rounds_run(&rounds);
	wait_for_looks(1);
	(void)loop_until(&loop, NULL, NULL, 20);
	cr_expect_eq(looked[0], 1);
}

Test(rounds, at_a_time)
{
	struct ward *ward = add(false);
	uint64_t begun_ms = clock_coarse_ms();
	rounds_look_at(ward, begun_ms + 100);
	rounds_run(&rounds);
	cr_expect_eq(looked[0], 0);
	wait_for_looks(1);
	cr_expect_geq(clock_coarse_ms(), begun_ms + 100);
}

/* Far more dead ones than may be looked at: all come round, and nobody waits behind them who is urgent. */
Test(rounds, each_has_its_turn)
{
	again_ms = 1;
	for (size_t i = 0; i < WARDS - 1; i++)
		rounds_look(add(false), PACING_REGULAR);
	rounds_run(&rounds);
	cr_expect_geq(order_count, PACING_IN_FLIGHT_REGULAR_MAX);
	cr_expect_lt(order_count, WARDS - 1, "there are bounds");
	struct ward *urgent = add(true);
	rounds_look(urgent, PACING_URGENT);
	rounds_run(&rounds);
	cr_expect_eq(order[order_count - 1], WARDS - 1, "it is next");
	wait_for_looks(1);
	looked[WARDS - 1] = UINT32_MAX;
	wait_for_looks(2);
	uint32_t most = 0;
	for (size_t i = 0; i < WARDS - 1; i++)
		most = looked[i] > most ? looked[i] : most;
	cr_expect_leq(most, 4, "none is looked at far more often than another");
}

/* The regular line gets its share beside an urgent one that never ends. */
Test(rounds, a_long_urgent_line_leaves_turns)
{
	for (size_t i = 0; i < 40; i++)
		rounds_look(add(false), i < 20 ? PACING_URGENT : PACING_REGULAR);
	rounds_run(&rounds);
	size_t regular = 0;
	for (size_t i = 0; i < 20; i++)
		regular += order[i] >= 20;
	cr_expect_eq(regular, 20 / ROUNDS_URGENT_SHARE);
	wait_for_looks(1);
}

Test(rounds, whoever_is_not_wanted_is_not_looked_at)
{
	is_refusing = true;
	rounds_look(add(false), PACING_URGENT);
	rounds_run(&rounds);
	cr_expect_eq(order_count, 1);
	cr_expect_eq(looked[0], 0);
	cr_expect_eq(rounds.pacing.in_flight[PACING_URGENT], 0);
}

Test(rounds, leaving_ends_what_is_under_way)
{
	struct ward *ward = add(true);
	const struct probe_plan plan = {.backend = ward->backend, .path = "/", .timeout_ms = 1000};
	pacing_begin(&rounds.pacing, ward->kind);
	cr_expect_eq(probe_begin(&rounds.prober, &plan, NULL, ward, &ward->probe), EVIDENCE_NONE);
	cr_assert_not_null(ward->probe);
	rounds_look(ward, PACING_URGENT);
	cr_expect(ward->is_wanted_again);
	rounds_leave(ward);
	cr_expect_null(ward->probe);
	cr_expect_eq(rounds.pacing.in_flight[PACING_URGENT], 0);
	(void)loop_until(&loop, NULL, NULL, 20);
	cr_expect_eq(looked[0], 0);
}
