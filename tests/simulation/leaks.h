// What a simulated crash leaves behind, for the leak sanitizer.
//
// A delivery of the server itself (an alarm, a move) owns itself until it is done. A node that is destroyed as by a
// crash never ends them, as a process that dies does not. To be included in one file of each test program.

#ifndef HOLDFAST_TESTS_SIMULATION_LEAKS_H_
#define HOLDFAST_TESTS_SIMULATION_LEAKS_H_

extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:holdfast::actors::Activation::DeliverAlarm\n"
         "leak:holdfast::actors::Activation::BeginMove\n"
         "leak:holdfast::actors::Activation::BeginLeaving\n"
         "leak:holdfast::actors::Activation::Retire\n";
}

#endif  // HOLDFAST_TESTS_SIMULATION_LEAKS_H_
