/* head_test - looking up names, methods and list elements. */
#include "support.h"

#define FIELD_ROW(id, name) {HTTP_FIELD_##id, name},
static const struct {
	enum http_field_id id;
	const char *name;
} field_rows[] = {HTTP_FIELDS(FIELD_ROW)};

static enum http_field_id lookup(const char *name)
{
	return http_field_lookup(str_of(name));
}

Test(head, known_names_are_found_in_any_case)
{
	for (size_t i = 0; i < ARRAY_SIZE(field_rows); i++) {
		char name[32];
		size_t bytes = strlen(field_rows[i].name);
		cr_expect_eq(lookup(field_rows[i].name), field_rows[i].id, "%s", field_rows[i].name);
		for (unsigned upper = 0; upper < bytes; upper++) {
			memcpy(name, field_rows[i].name, bytes + 1);
			if (name[upper] >= 'a' && name[upper] <= 'z')
				name[upper] = (char)(name[upper] - 0x20);
			cr_expect_eq(lookup(name), field_rows[i].id, "%s", name);
		}
	}
}

Test(head, framing_in_disguise)
{
	cr_expect_eq(lookup("Content_Length"), HTTP_FIELD_DISGUISED);
	cr_expect_eq(lookup("TRANSFER_ENCODING"), HTTP_FIELD_DISGUISED);
	cr_expect_eq(lookup("transfer_encodinG"), HTTP_FIELD_DISGUISED);
	cr_expect_eq(lookup("Transfer.Encoding"), HTTP_FIELD_OTHER);
	cr_expect_eq(lookup("Content_Lengths"), HTTP_FIELD_OTHER);
	cr_expect_eq(lookup("Content_Lengtg"), HTTP_FIELD_OTHER);
	cr_expect_eq(lookup("Keep_Alive"), HTTP_FIELD_OTHER);
}

Test(head, names_one_byte_off_are_not_known)
{
	for (size_t i = 0; i < ARRAY_SIZE(field_rows); i++) {
		char name[32];
		size_t bytes = strlen(field_rows[i].name);
		for (size_t at = 0; at < bytes; at++) {
			memcpy(name, field_rows[i].name, bytes + 1);
			name[at] = name[at] == 'q' ? 'j' : 'q';
			cr_expect_eq(lookup(name), HTTP_FIELD_OTHER, "%s", name);
		}
		memcpy(name, field_rows[i].name, bytes + 1);
		cr_expect_eq(http_field_lookup((struct str){name, bytes - 1}), HTTP_FIELD_OTHER);
		name[bytes] = 's';
		name[bytes + 1] = '\0';
		cr_expect_eq(lookup(name), HTTP_FIELD_OTHER, "%s", name);
	}
	cr_expect_eq(lookup(""), HTTP_FIELD_OTHER);
	cr_expect_eq(lookup("accept"), HTTP_FIELD_OTHER);
}

Test(head, methods_are_case_sensitive)
{
	static const struct {
		const char *name;
		enum http_method method;
		bool is_idempotent;
	} rows[] = {
		{"GET", HTTP_METHOD_GET, true},
		{"HEAD", HTTP_METHOD_HEAD, true},
		{"POST", HTTP_METHOD_POST, false},
		{"PUT", HTTP_METHOD_PUT, true},
		{"DELETE", HTTP_METHOD_DELETE, true},
		{"OPTIONS", HTTP_METHOD_OPTIONS, true},
		{"TRACE", HTTP_METHOD_TRACE, true},
		{"PATCH", HTTP_METHOD_PATCH, false},
		{"CONNECT", HTTP_METHOD_CONNECT, false},
		{"get", HTTP_METHOD_OTHER, false},
		{"GETS", HTTP_METHOD_OTHER, false},
		{"GE", HTTP_METHOD_OTHER, false},
		{"PROPFIND", HTTP_METHOD_OTHER, false},
		{"", HTTP_METHOD_OTHER, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_expect_eq(http_method_lookup(str_of(rows[i].name)), rows[i].method, "%s", rows[i].name);
		cr_expect_eq(
			http_method_is_idempotent(rows[i].method), rows[i].is_idempotent, "%s", rows[i].name);
	}
}

Test(head, lists_are_taken_apart)
{
	struct str list = STR(" ,, a\t,b c ,\"d\" ,, ");
	struct str element;
	cr_assert(http_list_next(&list, &element));
	expect_text(element, "a");
	cr_assert(http_list_next(&list, &element));
	expect_text(element, "b c");
	cr_assert(http_list_next(&list, &element));
	expect_text(element, "\"d\"");
	cr_expect_not(http_list_next(&list, &element));
	cr_expect_not(http_list_next(&list, &element));
}

Test(head, list_has_looks_at_every_occurrence)
{
	struct http_parser parser;
	cr_assert_eq(
		parse_request(&parser,
			BYTES("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nX: y\r\nTE: a, Deflate\r\n\r\n")),
		HTTP_DONE);
	cr_expect(http_list_has(&parser.head, HTTP_FIELD_TE, STR("TRAILERS")));
	cr_expect(http_list_has(&parser.head, HTTP_FIELD_TE, STR("deflate")));
	cr_expect_not(http_list_has(&parser.head, HTTP_FIELD_TE, STR("y")));
	cr_expect_not(http_list_has(&parser.head, HTTP_FIELD_TE, STR("trailer")));
	cr_expect_not(http_list_has(&parser.head, HTTP_FIELD_VIA, STR("y")));
	expect_text(http_value(&parser.head, HTTP_FIELD_TE), "trailers");
	expect_text(http_value(&parser.head, HTTP_FIELD_VIA), "");
	cr_expect(http_is_repeated(&parser.head, HTTP_FIELD_TE));
	cr_expect_not(http_is_repeated(&parser.head, HTTP_FIELD_HOST));
}
