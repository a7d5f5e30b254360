/* option_values.h - reads what the user gave with an option, or in a variable. Each says what is wrong with
 * it, and returns false then. */
#ifndef COMMAND_OPTION_VALUES_H
#define COMMAND_OPTION_VALUES_H

#include "srsd/command/options.h"

#define FORMAT_WORDS "name|json|smartstack|serverset|curator"

/* Of any option: `name` is what it is called. */
bool value_duration(
	const char *name, const char *value, uint32_t least_ms, uint32_t most_ms, uint32_t *out_ms);
bool value_number(const char *name, const char *value, uint32_t least, uint32_t most, uint32_t *out);
bool value_count(const char *name, const char *value, uint32_t *out);

/* Of one option. `source` is where the servers come from: the option's or the variable's name. */
bool value_servers(const char *source, const char *value, struct options *options);
bool value_registry(const char *value, struct options *options);
bool value_format(const char *value, struct options *options);
bool value_ignored(const char *value, struct options *options);
bool value_check(const char *value, struct register_options *options);
bool value_check_address(const char *value, struct register_options *options);
bool value_auth_file(const char *path, struct options *options);

/* Of a variable, which need not be there. The one with the password is taken out of the environment. */
bool value_servers_variable(struct options *options);
bool value_auth_variable(struct options *options);

#endif
