/*
 * sim_memory: where the simulator's engine has its memory from, made for many short lives.
 */
#ifndef TESTS_SIM_SIM_MEMORY_H
#define TESTS_SIM_SIM_MEMORY_H

/* Once, before the first life. */
void sim_memory_setup(void);

#endif
