// Suppressions of the leak sanitizer for the remains of a simulated crash.
//
// A delivery of the server itself (an alarm, a move) owns itself until it is done. A node that is destroyed to simulate
// a crash never ends its deliveries, like a process that dies. One file of each test program includes this header.

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
