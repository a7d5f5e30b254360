/* text_checks - what a text of the configuration must look like: addresses, paths, labels. Pure. */
#ifndef CONFIG_TEXT_CHECKS_H
#define CONFIG_TEXT_CHECKS_H

#include <stdbool.h>
#include <stddef.h>

/* What is wrong, and what to do, as a phrase that follows the name of the key and what was written. */
struct text_fault {
	char text[512];
};

/* Is `text` (NUL-terminated, not empty) good? If not, `fault` says why. */
typedef bool text_check_fn(const char *text, struct text_fault *fault);

text_check_fn text_check_servers;  /* host:port,...[/chroot] */
text_check_fn text_check_registry; /* the path above the labels in ZooKeeper */
text_check_fn text_check_label;	   /* the name of a service */
text_check_fn text_check_endpoint; /* host:port, a backend's */
text_check_fn text_check_listen;   /* IP address and port to listen on; port 0 is allowed */
text_check_fn text_check_path;	   /* of HTTP: absolute, without query and fragment */

/* The same address, however it is written? Both must have passed text_check_endpoint() or _listen().
 * Two ports 0 are two different ports. */
bool text_is_same_address(const char *left, const char *right);

#endif
