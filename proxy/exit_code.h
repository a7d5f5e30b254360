/* exit_code - how srsd-proxy ends: the codes of sysexits.h where they fit. */
#ifndef EXIT_CODE_H
#define EXIT_CODE_H

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILURE = 1,	  /* ended before all requests were served (second signal, drain_timeout) */
	EXIT_CODE_USAGE = 64,	  /* the command line is wrong */
	EXIT_CODE_RESOURCES = 71, /* no memory, descriptors or threads at start */
	EXIT_CODE_CANNOT_CREATE = 73,	/* the access log cannot be opened */
	EXIT_CODE_ADDRESS_TAKEN = 75,	/* another process listens there */
	EXIT_CODE_ADDRESS_REFUSED = 77, /* an address cannot be listened on for another reason */
	EXIT_CODE_SETTINGS = 78		/* the configuration is wrong */
};

#endif
