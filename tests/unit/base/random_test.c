/* random_test - the generator is the published one, ranges are fair and hold, seeds differ. */
#include "base/random.h"

#include "chi_square.h"
#include "fixed_random.h"
#include <criterion/criterion.h>
#include <string.h>

/* The first outputs of xoshiro256++ from the state 1, 2, 3, 4, as other implementations give them. */
Test(random, is_xoshiro256_plus_plus)
{
	static const uint64_t wanted[] = {41943041, 58720359, 3588806011781223, 3591011842654386,
		UINT64_C(9228616714210784205), UINT64_C(9973669472204895162), UINT64_C(14011001112246962877),
		UINT64_C(12406186145184390807), UINT64_C(15849039046786891736),
		UINT64_C(10450023813501588000)};
	struct random random = {{1, 2, 3, 4}};
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		cr_expect_eq(random_next(&random), wanted[i], "output %zu", i);
}

Test(random, every_seed_is_another_one)
{
	enum { SEEDS = 200 };
	uint64_t first[SEEDS];
	for (size_t i = 0; i < SEEDS; i++) {
		struct random random;
		cr_assert(random_seed(&random));
		first[i] = random_next(&random);
		for (size_t other = 0; other < i; other++)
			cr_expect_neq(first[i], first[other]);
	}
}

Test(random, small_ranges_are_uniform)
{
	static const uint32_t ranges[] = {2, 3, 5, 6, 7, 10, 100, 1000};
	struct random random = FIXED_RANDOM;
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		static unsigned counts[1000];
		memset(counts, 0, sizeof(counts));
		for (int draw = 0; draw < 200000; draw++) {
			uint32_t number = random_below(&random, ranges[i]);
			cr_assert_lt(number, ranges[i]);
			counts[number]++;
		}
		cr_expect(is_uniform(counts, ranges[i]), "below %u: chi-square %.1f, limit %.1f", ranges[i],
			chi_square(counts, ranges[i]), chi_square_limit(ranges[i]));
	}
}

/* Without drawing again, half of the numbers below 3 * 2^30 would be multiples of three. */
Test(random, a_range_that_does_not_divide_the_generators_is_uniform)
{
	struct random random = FIXED_RANDOM;
	unsigned counts[3] = {0};
	for (int draw = 0; draw < 100000; draw++)
		counts[random_below(&random, UINT32_C(3) << 30) % 3]++;
	cr_expect(is_uniform(counts, 3), "%u %u %u", counts[0], counts[1], counts[2]);
}

Test(random, bounds_hold)
{
	static const uint32_t ranges[] = {
		1, 2, 65537, UINT32_C(1) << 31, (UINT32_C(1) << 31) + 1, UINT32_MAX - 1, UINT32_MAX};
	struct random random = FIXED_RANDOM;
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		for (int draw = 0; draw < 10000; draw++)
			cr_assert_lt(random_below(&random, ranges[i]), ranges[i]);
}

Test(random, every_bit_is_set_half_the_time)
{
	struct random random = FIXED_RANDOM;
	unsigned set[64] = {0};
	enum { DRAWS = 20000 };
	for (int draw = 0; draw < DRAWS; draw++) {
		uint64_t bits = random_next(&random);
		for (size_t i = 0; i < 64; i++)
			set[i] += (unsigned)((bits >> i) & 1);
	}
	for (size_t i = 0; i < 64; i++) {
		unsigned counts[2] = {set[i], DRAWS - set[i]};
		cr_expect(is_uniform(counts, 2), "bit %zu: %u of %u", i, set[i], DRAWS);
	}
}
