// Tells the thread sanitizer of the order that gRPC's completion queues keep: whatever happened before an operation got
// its tag happens before the queue gives the tag back. Debian's gRPC is not instrumented, so the sanitizer can't see
// it. In other builds these functions do nothing.
//
// Threading: any thread.

#ifndef HOLDFAST_SERVICE_CALL_TAG_ORDER_H_
#define HOLDFAST_SERVICE_CALL_TAG_ORDER_H_

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HOLDFAST_TSAN 1
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif
#endif

namespace holdfast::service {

// Call it before the tag is handed over. Returns the tag.
inline void* GiveTag(void* tag) {
#ifdef HOLDFAST_TSAN
  __tsan_release(tag);
#endif
  return tag;
}

// Call it when a queue has given the tag back, before anything is done.
inline void TakeTag([[maybe_unused]] void* tag) {
#ifdef HOLDFAST_TSAN
  __tsan_acquire(tag);
#endif
}

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_TAG_ORDER_H_
