/* load_main - bench_load: a load with a process of its own. */
#include "load.h"
#include "net.h"

#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments)
{
	static struct load_order order;
	int status = load_order_read(&order, count, arguments);
	if (status != 0) {
		fprintf(status < 0 ? stdout : stderr,
			"Usage: bench_load [OPTION]... ADDRESS:PORT...\n"
			"Send HTTP requests, check the answers, and print counts as JSON. Without --rate "
			"each connection has\n"
			"a request under way all the time, until one fails. Connections take turns with the "
			"addresses.\n\n%s",
			load_order_options);
		return status < 0 ? EXIT_SUCCESS : status;
	}
	net_raise_descriptor_limit();
	struct loop loop = loop_open();
	struct load *load = load_begin(&order, &loop);
	uint64_t wait_ns;
	while (load_go_on(load, &wait_ns))
		loop_turn(&loop, wait_ns);
	load_end(load);
	load_order_free(&order);
	return EXIT_SUCCESS;
}
