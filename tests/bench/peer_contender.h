// A contender made from a peer.

#ifndef HOLDFAST_TESTS_BENCH_PEER_CONTENDER_H_
#define HOLDFAST_TESTS_BENCH_PEER_CONTENDER_H_

#include <memory>

#include "tests/bench/contender.h"
#include "tests/bench/peers.h"

namespace holdfast::bench {

// Takes the peer over. Opens as many connections as calls are under way, at most 64; more make no peer faster.
std::unique_ptr<Contender> PeerContender(std::unique_ptr<Peer> peer);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_PEER_CONTENDER_H_
