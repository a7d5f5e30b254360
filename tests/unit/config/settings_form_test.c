/* settings_form: what a key takes, in words that follow "give". */
#include "config/settings_form.h"

#include <criterion/criterion.h>

Test(settings_form, words)
{
	static const char *const rows[][3] = {
		{"zookeeper", "servers", "host:port,...[/chroot]"},
		{"zookeeper", "session_timeout", "a duration from 1s to 10m (units ms, s, m, h)"},
		{"", "listeners", "a list of mappings"},
		{"", "log", "a mapping of keys"},
		{"listeners[]", "address", "an IP address and port"},
		{"listeners[]", "shared", "true or false"},
		{"services[]", "static", "a list of host:port"},
		{"log", "level", "one of error, warning, info, debug"},
		{"limits", "head", "a size from 1k to 65535 (bytes, or with k, m or g)"},
		{"admin", "address", "an IP address and port, or off"},
		{"", "workers", "a whole number from 1 to 256, or auto"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct settings_key *key = settings_key_find(rows[i][0], rows[i][1]);
		cr_assert(key != NULL, "%s.%s", rows[i][0], rows[i][1]);
		cr_expect_str_eq(settings_form(key).text, rows[i][2]);
	}
}
