/* slab_test - objects are used again, and no more of them are kept than said. */
#include "base/slab.h"

#include <criterion/criterion.h>
#include <string.h>

#define OBJECTS 16

struct object {
	char bytes[96];
};

static void take_all(struct slab *slab, struct object **objects)
{
	for (size_t i = 0; i < OBJECTS; i++) {
		objects[i] = slab_take(slab);
		cr_assert_not_null(objects[i]);
		memset(objects[i], (int)i, sizeof(*objects[i])); /* all of it is ours */
	}
}

static void give_all(struct slab *slab, struct object **objects)
{
	for (size_t i = 0; i < OBJECTS; i++) {
		for (size_t b = 0; b < sizeof(objects[i]->bytes); b++)
			cr_assert_eq(objects[i]->bytes[b], (char)i, "two objects share memory");
		slab_give(slab, objects[i]);
	}
}

Test(slab, objects_do_not_overlap_and_no_more_are_kept_than_said)
{
	struct slab slab;
	struct object *objects[OBJECTS];
	slab_init(&slab, sizeof(struct object), 4);
	for (int round = 0; round < 3; round++) {
		take_all(&slab, objects);
		cr_expect_eq(slab.kept, 0);
		give_all(&slab, objects);
		cr_expect_leq(slab.kept, 4);
	}
	slab_finish(&slab);
	cr_expect_eq(slab.kept, 0);
	cr_expect_null(slab.free);
}

Test(slab, a_slab_that_keeps_none_works)
{
	struct slab slab;
	struct object *objects[OBJECTS];
	slab_init(&slab, sizeof(struct object), 0);
	take_all(&slab, objects);
	give_all(&slab, objects);
	cr_expect_eq(slab.kept, 0);
	slab_finish(&slab);
}

#ifndef __SANITIZE_ADDRESS__ /* there, none is kept, so that a use after free is seen */
Test(slab, the_last_given_is_the_first_taken)
{
	struct slab slab;
	slab_init(&slab, sizeof(struct object), 8);
	void *first = slab_take(&slab), *second = slab_take(&slab);
	slab_give(&slab, first);
	slab_give(&slab, second);
	cr_expect_eq(slab.kept, 2);
	cr_expect_eq(slab_take(&slab), second);
	cr_expect_eq(slab_take(&slab), first);
	slab_give(&slab, first);
	slab_give(&slab, second);
	slab_finish(&slab);
}
#endif
