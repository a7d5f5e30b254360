/* node_test - "auto:PORT". */
#include "srsd/command/node.h"

#include <criterion/criterion.h>

Test(node, reads_the_port_of_an_automatic_address)
{
	const char *why;
	uint16_t port;

	cr_assert(node_auto_parse("auto:1", &port, &why));
	cr_assert_eq(port, 1);
	cr_assert(node_auto_parse("auto:65535", &port, &why));
	cr_assert_eq(port, 65535);
}

Test(node, refuses_what_is_no_port)
{
	static const char *const wrong[] = {"", "auto", "auto:", "auto:0", "auto:65536", "auto:100000",
		"auto:08", "auto:+8", "auto: 8", "auto:8 ", "auto:8a", "auto:eth0:80", "AUTO:80", "[auto]:80",
		"auto:-1"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *why = NULL;
		uint16_t port = 7;

		cr_assert_not(node_auto_parse(wrong[i], &port, &why), "%s", wrong[i]);
		cr_assert_not_null(why);
		cr_assert_eq(port, 7);
	}
}
