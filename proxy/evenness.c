/* evenness - the workers' numbers of connections (see evenness.h). */
#include "evenness.h"

#include <stdlib.h>

#define EVENNESS_LOOK_MS (1000 / EVENNESS_LOOKS_PER_SECOND)

/* Others change the numbers meanwhile: after so many times chance decides. */
#define EVENNESS_TRIES 8

bool evenness_init(struct evenness *evenness, size_t worker_count)
{
	evenness->count = worker_count;
	evenness->places =
		aligned_alloc(_Alignof(struct evenness_place), worker_count * sizeof(*evenness->places));
	for (size_t i = 0; evenness->places != NULL && i < worker_count; i++)
		atomic_init(&evenness->places[i].word, EVENNESS_SHUT);
	return evenness->places != NULL;
}

void evenness_finish(struct evenness *evenness)
{
	free(evenness->places);
	evenness->places = NULL;
}

void evenness_open(struct evenness *evenness, size_t worker)
{
	atomic_fetch_and_explicit(&evenness->places[worker].word, ~EVENNESS_SHUT, memory_order_relaxed);
}

void evenness_shut(struct evenness *evenness, size_t worker)
{
	atomic_fetch_or_explicit(&evenness->places[worker].word, EVENNESS_SHUT, memory_order_relaxed);
}

void evenness_enter(struct evenness *evenness, size_t worker)
{
	atomic_fetch_add_explicit(&evenness->places[worker].word, 1, memory_order_relaxed);
}

void evenness_leave(struct evenness *evenness, size_t worker)
{
	atomic_fetch_sub_explicit(&evenness->places[worker].word, 1, memory_order_relaxed);
}

static uint32_t evenness_word(const struct evenness *evenness, size_t worker)
{
	return atomic_load_explicit(&evenness->places[worker].word, memory_order_relaxed);
}

/* Of several who have the fewest it is the next one. A word with EVENNESS_SHUT is the largest of all. */
static size_t evenness_find_least(const struct evenness *evenness, size_t worker, uint32_t *least)
{
	uint32_t own = evenness_word(evenness, worker);
	size_t found = worker;
	*least = own & ~EVENNESS_SHUT;
	for (size_t step = 1; step < evenness->count; step++) {
		size_t other = (worker + step) % evenness->count;
		uint32_t word = evenness_word(evenness, other);
		if (word < *least) {
			*least = word;
			found = other;
		}
	}
	if ((own & ~EVENNESS_SHUT) > *least + *least / EVENNESS_SLACK)
		return found;
	*least = own;
	return worker;
}

size_t evenness_choose(struct evenness *evenness, size_t worker)
{
	for (int tries = 0; tries < EVENNESS_TRIES; tries++) {
		uint32_t word;
		size_t found = evenness_find_least(evenness, worker, &word);
		if (atomic_compare_exchange_strong_explicit(&evenness->places[found].word, &word, word + 1,
			    memory_order_relaxed, memory_order_relaxed))
			return found;
	}
	evenness_enter(evenness, worker);
	return worker;
}

bool evenness_may_look(struct evenness_looks *looks, uint64_t now_ms)
{
	if (looks->spent_ms + 1000 < now_ms)
		looks->spent_ms = now_ms - 1000;
	if (looks->spent_ms + EVENNESS_LOOK_MS > now_ms)
		return false;
	looks->spent_ms += EVENNESS_LOOK_MS;
	return true;
}
