/* bytes_test - a queue of bytes against a plain array, and what it does with its memory. */
#include "base/bytes.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_bytes(const struct bytes *bytes, const char *text)
{
	cr_expect_eq(bytes_count(bytes), strlen(text));
	cr_expect(bytes_count(bytes) == strlen(text) && memcmp(bytes_at(bytes), text, strlen(text)) == 0,
		"wanted \"%s\", got \"%.*s\"", text, (int)bytes_count(bytes), bytes_at(bytes));
}

Test(bytes, what_is_appended_comes_out_in_order)
{
	struct bytes bytes = {0};
	cr_assert(bytes_append(&bytes, "one ", 4));
	cr_assert(bytes_append(&bytes, "two ", 4));
	cr_assert(bytes_append(&bytes, "three", 5));
	expect_bytes(&bytes, "one two three");
	bytes_consume(&bytes, 4);
	expect_bytes(&bytes, "two three");
	bytes_free(&bytes);
}

Test(bytes, memory_is_held_only_while_there_are_bytes)
{
	struct bytes bytes = {0};
	cr_assert(bytes_append(&bytes, "", 0));
	cr_expect_null(bytes.memory);
	cr_assert(bytes_append(&bytes, "abc", 3));
	cr_expect_not_null(bytes.memory);
	bytes_consume(&bytes, 3);
	cr_expect_null(bytes.memory);
	cr_expect_eq(bytes.size, 0);
	bytes_consume(&bytes, 0);
	bytes_free(&bytes);
	bytes_free(&bytes);
}

Test(bytes, reserved_room_is_used_as_far_as_it_is_committed)
{
	struct bytes bytes = {0};
	char *room = bytes_reserve(&bytes, 100);
	cr_assert_not_null(room);
	memcpy(room, "hello, what is left is not kept", 31);
	bytes_commit(&bytes, 5);
	expect_bytes(&bytes, "hello");
	room = bytes_reserve(&bytes, 10);
	cr_expect_eq(room, bytes_at(&bytes) + 5, "contiguous with what is there");
	bytes_free(&bytes);
}

Test(bytes, consumed_room_at_the_front_is_used_again_before_memory_grows)
{
	struct bytes bytes = {0};
	char text[400];
	memset(text, 'x', sizeof(text));
	cr_assert(bytes_append(&bytes, text, sizeof(text)));
	uint32_t size = bytes.size;
	bytes_consume(&bytes, 390);
	cr_assert(bytes_append(&bytes, "the tail moves to the front of the memory", 41));
	cr_assert_not_null(bytes_reserve(&bytes, size - 51));
	cr_expect_eq(bytes.size, size);
	cr_expect_eq(bytes.start, 0);
	expect_bytes(&bytes, "xxxxxxxxxxthe tail moves to the front of the memory");
	cr_assert_not_null(bytes_reserve(&bytes, size - 50));
	cr_expect_gt(bytes.size, size);
	expect_bytes(&bytes, "xxxxxxxxxxthe tail moves to the front of the memory");
	bytes_free(&bytes);
}

Test(bytes, more_than_the_limit_is_refused_and_changes_nothing)
{
	struct bytes bytes = {0};
	cr_expect_null(bytes_reserve(&bytes, (size_t)BYTES_MAX + 1));
	cr_expect_null(bytes_reserve(&bytes, SIZE_MAX));
	cr_assert(bytes_append(&bytes, "abc", 3));
	cr_expect_null(bytes_reserve(&bytes, BYTES_MAX - 2));
	cr_expect_null(bytes_reserve(&bytes, SIZE_MAX));
	cr_expect_not(bytes_append(&bytes, "", (size_t)BYTES_MAX));
	expect_bytes(&bytes, "abc");
	bytes_free(&bytes);
}

Test(bytes, parts_are_appended_behind_any_number_of_skipped_bytes)
{
	char one[] = "one ", two[] = "two", three[] = " three";
	const struct iovec parts[] = {{one, 4}, {two, 0}, {two, 3}, {three, 6}, {three, 0}};
	static const char whole[] = "one two three";
	cr_expect_eq(parts_bytes(parts, 5), 13);
	cr_expect_eq(parts_bytes(parts, 0), 0);
	for (size_t skip = 0; skip <= 15; skip++) {
		struct bytes bytes = {0};
		char wanted[32];
		snprintf(wanted, sizeof(wanted), "before, %s", skip < 13 ? whole + skip : "");
		cr_assert(bytes_append(&bytes, "before, ", 8));
		cr_assert(bytes_append_parts(&bytes, parts, 5, skip));
		expect_bytes(&bytes, wanted);
		bytes_free(&bytes);
	}
}

Test(bytes, nothing_skipped_entirely_takes_memory)
{
	struct bytes bytes = {0};
	char text[] = "sent";
	const struct iovec part = {text, 4};
	cr_assert(bytes_append_parts(&bytes, &part, 1, 4));
	cr_assert(bytes_append_parts(&bytes, NULL, 0, 0));
	cr_expect_null(bytes.memory);
}

/* ---- Against a model ------------------------------------------------------------------------- */

#define MODEL_MAX 20000

static char model[MODEL_MAX];
static size_t model_count;

static void model_append(struct bytes *bytes, struct random *random)
{
	char text[3000];
	size_t count = random_below(random, sizeof(text));
	if (count > MODEL_MAX - model_count)
		count = MODEL_MAX - model_count;
	for (size_t i = 0; i < count; i++)
		text[i] = (char)random_next(random);
	size_t cut = random_below(random, (uint32_t)count + 1),
	       skip = random_below(random, (uint32_t)count + 1);
	const struct iovec parts[] = {{text, cut}, {text + cut, count - cut}};
	if (random_below(random, 2) == 0) {
		skip = 0;
		cr_assert(bytes_append(bytes, text, count));
	} else {
		cr_assert(bytes_append_parts(bytes, parts, 2, skip));
	}
	memcpy(model + model_count, text + skip, count - skip);
	model_count += count - skip;
}

Test(bytes, behaves_as_an_array_does)
{
	struct bytes bytes = {0};
	struct random random;
	cr_assert(random_seed(&random));
	for (int step = 0; step < 20000; step++) {
		if (random_below(&random, 2) == 0) {
			model_append(&bytes, &random);
		} else {
			size_t count = random_below(&random, (uint32_t)model_count + 1);
			bytes_consume(&bytes, count);
			memmove(model, model + count, model_count - count);
			model_count -= count;
		}
		cr_assert_eq(bytes_count(&bytes), model_count);
		cr_assert(model_count == 0 || memcmp(bytes_at(&bytes), model, model_count) == 0);
		cr_assert_eq(bytes.memory == NULL, model_count == 0);
	}
	bytes_free(&bytes);
}
