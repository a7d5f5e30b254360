/* value: the tree keeps order, keys and places, and frees what it was given. */
#include "config/value.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct place here = {"f", 1, 1};

Test(value, mapping)
{
	struct value *mapping = value_make(VALUE_MAPPING, here);
	char key[16];
	for (int i = 0; i < 100; i++) {
		int bytes = snprintf(key, sizeof(key), "key%d", i);
		struct value *child = value_make_scalar(key, (size_t)bytes, false, here);
		cr_assert(value_append(mapping, key, (size_t)bytes, here, child));
	}
	cr_expect_eq(mapping->count, 100);
	cr_expect_str_eq(value_find(mapping, "key42", 5)->value->text, "key42");
	cr_expect_str_eq(value_find(mapping, "key42", 4)->value->text, "key4");
	cr_expect(value_find(mapping, "key", 3) == NULL);
	cr_expect(value_find(mapping, "key100", 6) == NULL);
	cr_expect(value_find(mapping->entries[0].value, "key0", 4) == NULL);
	cr_expect(value_find(NULL, "key0", 4) == NULL);
	cr_expect_str_eq(value_scalar_at(mapping, "key7")->text, "key7");
	value_free(&mapping);
	cr_expect(mapping == NULL);
}

Test(value, missing_child_is_refused)
{
	struct value *list = value_make(VALUE_LIST, here);
	cr_expect_not(value_append(list, NULL, 0, here, NULL));
	cr_expect_eq(list->count, 0);
	value_free(&list);
}

Test(value, null)
{
	static const struct {
		const char *text;
		bool is_quoted, is_null;
	} rows[] = {{"", false, true}, {"~", false, true}, {"null", false, true}, {"Null", false, true},
		{"NULL", false, true}, {"nULL", false, false}, {"", true, false}, {"null", true, false},
		{"0", false, false}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct value *value =
			value_make_scalar(rows[i].text, strlen(rows[i].text), rows[i].is_quoted, here);
		cr_expect_eq(value_is_null(value), rows[i].is_null, "row %zu", i);
		value_free(&value);
	}
	struct value *list = value_make(VALUE_LIST, here);
	cr_expect_not(value_is_null(list));
	value_free(&list);
}
