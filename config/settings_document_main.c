/* settings-document - writes docs/configuration.md to standard output. */
#include "config/settings.h"

#include <stdlib.h>

int main(void)
{
	settings_document(stdout);
	return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
