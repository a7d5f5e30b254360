/* policy - the table of policies. */
#include "balance/policy.h"

#include <string.h>

static const struct policy *const policies[] = {
	&policy_random,
};

const struct policy *policy_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (strcmp(policies[i]->name, name) == 0)
			return policies[i];
	return NULL;
}
