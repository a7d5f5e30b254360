/* yaml_reader: what is no YAML, and what YAML has and a configuration does not need, is refused with its
 * place. */
#include "loading.h"

#include "config/yaml_reader.h"

Test(yaml_reader, syntax)
{
	static const struct bad_text rows[] = {
		{"listeners: [a\nservices: b\n", "t:2:9: YAML syntax: did not find expected ',' or ']' while "
						 "parsing a flow sequence that begins on line "
						 "1: close the list with ]"},
		{"log: {level: info\nworkers: 1\n", "t:2:8: YAML syntax: did not find expected ',' or '}' "
						    "while parsing a flow mapping that begins on line "
						    "1: close the mapping with }"},
		{"log:\n\tlevel: info\n", "t:2:1: YAML syntax: found character that cannot start any token "
					  "while scanning for the next token that "
					  "begins on line 2: indent with spaces, not tabs, and put quotes "
					  "around a value that starts with @, ` or "
					  "%"},
		{"log:\n    level: info\n  format: json\n",
			"t:3:3: YAML syntax: did not find expected key while parsing a block mapping that "
			"begins on line 1: begin "
			"all keys of one mapping in the same column"},
		{"workers: a: b\n",
			"t:1:11: YAML syntax: mapping values are not allowed in this context: check the "
			"indentation, and put quotes around a value that has \": \" in it"},
		{"name: \"abc\n", "t:2:1: YAML syntax: found unexpected end of stream while scanning a "
				  "quoted scalar that "
				  "begins on line 1: close the quotes that were opened"},
		{"a: b\nworkers\nlog: c\n",
			"t:3:1: YAML syntax: could not find expected ':' while scanning a simple key that "
			"begins on line 2: write \"key: value\", with a space after the colon"},
		{"a: [1, 2]]\n", "t:1:10: *"},
		{"a: \"\\q\"\n", "t:1:5: YAML syntax: found unknown escape character*"},
		{"%YAML 3.0\n---\na: b\n", "t:1:1: YAML syntax: found incompatible YAML document*"},
		{"@a: b\n", "t:1:1: YAML syntax: found character that cannot start any token*"},
		{"listeners: @\n", "t:1:12: YAML syntax: found character that cannot start any token*"},
	};
	EXPECT_ALL(rows);
}

Test(yaml_reader, refused)
{
	static const struct bad_text rows[] = {
		{"", "t:1:1: empty: give at least listeners, services and routes, as config/srsd-proxy.yaml "
		     "does"},
		{"\n\n", "t:1:1: empty: *"},
		{"# only a comment\n", "t:1:1: empty: *"},
		{"---\n", "t:1:1: empty: *"},
		{"~\n", "t:1:1: empty: *"},
		{"\xEF\xBB\xBF", "t:1:1: empty: *"},
		{"text\n", "t:1:1: no mapping of keys: write \"key: value\", as config/srsd-proxy.yaml does"},
		{"\n- a\n- b\n", "t:2:1: no mapping of keys: *"},
		{LEAST "---\nlog: {level: info}\n",
			"t:4:1: a second document: keep one, and remove the line \"---\" between them"},
		{LEAST "log: &anchor {level: info}\n", "t:4:6: anchor \"&anchor\": anchors and aliases are "
						       "not read here, write the value out where it is used"},
		{LEAST "workers: &number 3\nlimits: {fields: *number}\n",
			"t:4:10: anchor \"&number\": *\n"
			"t:5:18: alias \"*number\": anchors and aliases are not read here, write the value "
			"out"},
		{LEAST "workers: !!int 3\n",
			"t:4:10: tag \"tag:yaml.org,2002:int\": tags are not read here, leave it out"},
		{LEAST "log: !mine {level: info}\n",
			"t:4:6: tag \"!mine\": tags are not read here, leave it out"},
		{LEAST "&k workers: 3\n", "t:4:1: anchor \"&k\": *"},
		{LEAST "? [a, b]\n: c\n", "t:4:3: a key that is no text: write \"key: value\""},
		{LEAST "? {a: b}\n: c\n", "t:4:3: a key that is no text: write \"key: value\""},
		{LEAST "*a : b\n",
			"t:4:1: a key that is no text: write \"key: value\"\nt:4:1: alias \"*a\": *"},
		{LEAST "\"work\\0ers\": 3\n", "t:4:1: unknown key \"work\\x00ers\", remove it"},
		{LEAST "<<: {workers: 3}\n",
			"t:4:1: unknown key \"<<\": remove it; the keys here are zookeeper, *"},
	};
	EXPECT_ALL(rows);
}

Test(yaml_reader, duplicates)
{
	static const struct bad_text rows[] = {
		{LEAST "workers: 3\nworkers: 4\n",
			"t:5:1: duplicate key \"workers\", which stands on line 4 already: remove one"},
		{LEAST "log:\n  level: info\n  format: json\n  \"level\": debug\n  level: info\n",
			"t:7:3: duplicate key \"level\", which stands on line 5 already: remove one\n"
			"t:8:3: duplicate key \"level\", which stands on line 5 already: remove one"},
		{LEAST "what: {a: 1, a: 2}\n",
			"t:4:1: unknown key \"what\": *\n"
			"t:4:14: duplicate key \"a\", which stands on line 4 already: remove one"},
	};
	EXPECT_ALL(rows);
}

Test(yaml_reader, encoding)
{
	static const struct bad_text rows[] = {
		{"log:\n  level: \xFF\n", "t:2:10: byte 0xff is not UTF-8: save the file as UTF-8 text"},
		{"# \xC3\xA9\xE9\n", "t:1:4: byte 0xe9 is not UTF-8: save the file as UTF-8 text"},
		{"a: \x1B\n", "t:1:4: byte 0x1b is a control character: save the file as UTF-8 text"},
		{"\xFE\xFF", "t:1:1: byte 0xfe is not UTF-8: save the file as UTF-8 text"},
	};
	EXPECT_ALL(rows);
	struct loading loading = load_bytes("a: b\0c", 6, NULL, 0);
	cr_expect_str_eq(
		loading.complaints, "t:1:5: byte 0x00 is a control character: save the file as UTF-8 text\n");
	loading_end(&loading);
}

Test(yaml_reader, byte_order_mark_and_line_ends)
{
	static const char text[] = "\xEF\xBB\xBFlisteners:\r\n  - address: 127.0.0.1:80\r\nservices:\r\n"
				   "  - name: a\r\nroutes:\r\n  - path: /\r\n    service: a\r\n";
	struct loading loading = load_text(text);
	cr_expect_str_eq(loading.complaints, "");
	cr_assert(loading.settings != NULL);
	cr_expect_str_eq(loading.settings->listeners[0].address, "127.0.0.1:80");
	loading_end(&loading);
	expect_complaints("\xEF\xBB\xBFlisteners: x\r\nservices: y\r\nroutes: z\r\n",
		"t:1:12: listeners is text: *\nt:2:11: services is text: *\nt:3:9: routes is text: *");
}

Test(yaml_reader, depth)
{
	char text[2000] = "a: ";
	memset(text + 3, '[', 500);
	expect_complaints(text,
		"t:1:35: nested more than 32 deep, which no key of this configuration is: take some levels "
		"out");
}

Test(yaml_reader, entries)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	cr_assert(out != NULL);
	for (int i = 0; i < 10001; i++)
		fprintf(out, "k%d: v\n", i);
	fclose(out);
	expect_complaints(text, "t:10001:1: more than 10000 entries in one mapping or list, take some out");
	free(text);
}

/* The tree itself: kinds, order, quotes, and places in characters. */
Test(yaml_reader, tree)
{
	static const char text[] = "a:\n  - x\n  - 'y'\n\"\xC3\xA9\": {b: 1}\n";
	struct complaints complaints = {0};
	struct value *root = yaml_read("t", text, sizeof(text) - 1, &complaints);
	cr_assert(root != NULL);
	cr_expect_not(complaints_any(&complaints));
	cr_expect_eq(root->kind, VALUE_MAPPING);
	cr_expect_eq(root->count, 2);
	const struct value *list = root->entries[0].value;
	cr_expect_eq(list->kind, VALUE_LIST);
	cr_expect_eq(list->count, 2);
	cr_expect_not(list->entries[0].value->is_quoted);
	cr_expect(list->entries[1].value->is_quoted);
	cr_expect_str_eq(list->entries[1].value->text, "y");
	cr_expect_eq(list->entries[1].value->place.line, 3);
	cr_expect_eq(list->entries[1].value->place.column, 5);
	const struct value_entry *last = &root->entries[1];
	cr_expect_str_eq(last->key, "\xC3\xA9");
	cr_expect_eq(last->key_place.line, 4);
	cr_expect_eq(last->value->place.column, 6);
	value_free(&root);
}
