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

text_check_fn text_check_servers;    /* host:port,...[/chroot] */
text_check_fn text_check_registry;   /* the path above the labels in ZooKeeper */
text_check_fn text_check_label;	     /* the name of a service */
text_check_fn text_check_port_name;  /* of a server set's additional endpoint */
text_check_fn text_check_endpoint;   /* host:port, a backend's */
text_check_fn text_check_listen;     /* IP address and port to listen on; port 0 is allowed */
text_check_fn text_check_protocol;   /* of Upgrade: name or name/version; not h2c */
text_check_fn text_check_network;    /* an IP network or address */
text_check_fn text_check_file;	     /* an absolute path; whether a file is there is for who reads it */
text_check_fn text_check_access_log; /* stdout, stderr, or an absolute path */
text_check_fn text_check_directory;  /* the same of a directory */
text_check_fn text_check_path;	     /* of HTTP: absolute, without query and fragment */

text_check_fn text_check_probe_path; /* the same of a probe, of TEXT_PROBE_PATH_MAX bytes at most */

text_check_fn text_check_hash_on; /* path, client_address, header:NAME, cookie:NAME */

#define TEXT_PORT_NAME_MAX  255	 /* bytes */
#define TEXT_PROBE_PATH_MAX 1600 /* likewise */

#define TEXT_ADDRESS_MAX 272 /* "[IPv6]:port" or "name:port", and the NUL */

/* Write an address the one way in which it is the same as any other spelling of it. False: it is no address,
 * or its port is 0, which is another one each time; then `out` is not set. */
bool text_canonical_address(const char *text, char out[TEXT_ADDRESS_MAX]);

#endif
