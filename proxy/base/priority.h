/* priority - has a thread stand behind the others where they want the same processor. Owns what each
 * thread knows of itself.
 *
 * What follows the registry wakes for each change, and takes a processor that a worker may want. A nice value
 * is a weight and not a ban: such a thread has its share of a busy processor too, only a smaller one. */
#ifndef BASE_PRIORITY_H
#define BASE_PRIORITY_H

/* Raise the nice value of the calling thread by so many steps, up to the last one there is. Each takes a
 * fifth of its share of a busy processor. Only a matter of speed: where the kernel refuses, nothing changes.
 */
void priority_step_back(int steps);

/* Between two pieces of work: let those go first who wait for this processor. The kernel may let a thread end
 * its turn, of milliseconds, before one with more weight that has just woken. Where that took long, so that
 * the others are busy all the time, none is let go first for as long: at most half of the time is given away.
 * Does nothing in a thread that has not stepped back. */
void priority_give_way(void);

#endif
