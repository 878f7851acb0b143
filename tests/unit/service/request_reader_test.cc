#include "service/http/request_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::service {
namespace {

using Problem = RequestReader::Problem;

constexpr size_t kHead = 4096;
constexpr size_t kBody = 100;

// Feeds the bytes in pieces, as a connection does, and returns those that no request has taken. The first piece may
// have a size of its own.
std::string Feed(RequestReader* reader, absl::string_view bytes, size_t piece = 1 << 20, size_t first = 0) {
  std::string waiting;
  size_t next = first > 0 ? first : piece;
  while (!bytes.empty() && reader->problem() == Problem::kNone && !reader->done()) {
    const absl::string_view come = bytes.substr(0, next);
    next = piece;
    absl::StrAppend(&waiting, come);
    bytes.remove_prefix(come.size());
    for (size_t taken = 1; taken > 0 && !waiting.empty();) {
      taken = reader->Take(waiting);
      waiting.erase(0, taken);
    }
  }
  return absl::StrCat(waiting, bytes);
}

Problem ProblemOf(absl::string_view bytes) {
  RequestReader reader(kHead, kBody);
  Feed(&reader, bytes);
  return reader.problem();
}

TEST(RequestReader, ReadsARequestHoweverItsBytesCome) {
  const std::string request =
      "POST /a.B/C?x=1 HTTP/1.1\r\nHost: h\r\nContent-Type:  text/plain \r\nX: 1\r\nX: 2\r\nContent-Length: "
      "5\r\n\r\nhello";
  for (size_t piece = 1; piece <= request.size(); ++piece) {
    RequestReader reader(kHead, kBody);
    EXPECT_EQ(Feed(&reader, request + "GET", piece), "GET") << piece;
    ASSERT_TRUE(reader.done()) << piece << " " << reader.explanation();
    EXPECT_EQ(reader.head().method, "POST");
    EXPECT_EQ(reader.head().path, "/a.B/C");
    EXPECT_EQ(reader.head().query, "x=1");
    EXPECT_EQ(reader.head().Find("content-type"), "text/plain");
    EXPECT_EQ(reader.head().All("x"), (std::vector<std::string>{"1", "2"}));
    EXPECT_TRUE(reader.head().keep_alive);
    EXPECT_TRUE(reader.head().has_body);
    EXPECT_EQ(reader.body(), "hello");
  }
}

TEST(RequestReader, TakesManySmallChunksAtOnce) {
  RequestReader reader(kHead, 10000);
  Feed(&reader, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  ASSERT_TRUE(reader.has_head());
  std::string chunks;
  for (int i = 0; i < 1000; ++i) chunks += "1\r\nx\r\n";
  // The line end behind a chunk is taken with the next.
  EXPECT_EQ(reader.Take(chunks), chunks.size() - 2);
  EXPECT_EQ(reader.body(), std::string(1000, 'x'));
  EXPECT_EQ(reader.Take("\r\n0\r\n\r\nGET"), 7u);
  EXPECT_TRUE(reader.done());
}

TEST(RequestReader, ABodyMayBeLimitedOnceItsHeadIsThere) {
  for (const absl::string_view field : {"Content-Length: 60", "Transfer-Encoding: chunked"}) {
    RequestReader reader(kHead, kBody);
    Feed(&reader, absl::StrCat("POST / HTTP/1.1\r\nHost: h\r\n", field, "\r\n\r\n"));
    ASSERT_TRUE(reader.has_head());
    reader.LimitBody(50);
    Feed(&reader, absl::StrCat("3c\r\n", std::string(60, 'x')));
    EXPECT_EQ(reader.problem(), Problem::kBodyTooLarge) << field;
    EXPECT_TRUE(reader.has_head()) << "so that it can be answered";
  }
}

TEST(RequestReader, TheHostInATargetCounts) {
  for (const absl::string_view target : {"http://other:80/a?b=/c", "HTTPS://other:80/a?b=/c"}) {
    RequestReader reader(kHead, kBody);
    Feed(&reader, absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: h\r\n\r\n"));
    ASSERT_TRUE(reader.done()) << reader.explanation();
    EXPECT_EQ(reader.head().path, "/a");
    EXPECT_EQ(reader.head().query, "b=/c");
    EXPECT_EQ(reader.head().All("host"), (std::vector<std::string>{"other:80"}));
  }
  RequestReader reader(kHead, kBody);
  Feed(&reader, "GET /a?b=http://c HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(reader.head().path, "/a");
  EXPECT_EQ(reader.head().Find("host"), "h");
}

TEST(RequestReader, ReadsChunksAndDropsTrailers) {
  const std::string request =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nAuthorization: "
      "x\r\n\r\n";
  for (size_t piece = 1; piece <= request.size(); ++piece) {
    RequestReader reader(kHead, kBody);
    EXPECT_EQ(Feed(&reader, request + "x", piece), "x") << piece;
    ASSERT_TRUE(reader.done()) << piece << " " << reader.explanation();
    EXPECT_EQ(reader.body(), "hello!");
    EXPECT_FALSE(reader.head().Find("authorization"));
  }
}

// Beast asserts that some parts of chunks come together, and clients may send them as they like.
TEST(RequestReader, ChunksOfAnySizeComeInPiecesOfAnySize) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::pair<std::string, std::string> bodies[] = {
      {"", ""}, {"1\r\na\r\n", "a"}, {"1;x\r\na\r\n00a\r\n0123456789\r\n", "a0123456789"}};
  for (const auto& [chunks, body] : bodies) {
    for (const char* end : {"0\r\n\r\n", "000\r\n\r\n", "0;x\r\n\r\n", "0\r\nA: b\r\n\r\n"}) {
      const std::string request = absl::StrCat(head, chunks, end);
      for (size_t first = head.size(); first <= request.size(); ++first) {
        for (const size_t piece : {1, 2, 3, 4, 5, 100}) {
          RequestReader reader(kHead, kBody);
          const std::string rest = Feed(&reader, request + "G", piece, first);
          ASSERT_TRUE(reader.done()) << reader.explanation() << request << first << " " << piece;
          EXPECT_EQ(reader.body(), body);
          EXPECT_EQ(rest, "G");
        }
      }
    }
  }
}

TEST(RequestReader, ARequestWithoutABodyEndsWithItsHead) {
  RequestReader reader(kHead, kBody);
  EXPECT_EQ(Feed(&reader, "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET"), "GET");
  EXPECT_TRUE(reader.done());
  EXPECT_FALSE(reader.head().keep_alive);
  EXPECT_FALSE(reader.head().has_body);
}

TEST(RequestReader, AFoldedLineIsRefusedHoweverItsBytesCome) {
  for (const char* fold : {" b", "\t"}) {
    const std::string request = absl::StrCat("GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n", fold, "\r\nY: c\r\nZ: d\r\n\r\n");
    for (size_t first = 1; first < request.size(); ++first) {
      RequestReader reader(kHead, kBody);
      Feed(&reader, request, request.size(), first);
      EXPECT_EQ(reader.problem(), Problem::kMalformed) << first;
    }
  }
}

TEST(RequestReader, WhatTwoReadersCouldReadInTwoWaysIsRefused) {
  const std::string line = "POST / HTTP/1.1\r\nHost: h\r\n";
  for (const char* fields : {
           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
           "Content-Length: 5\r\nContent-Length: 6\r\n",
           "Content-Length: 5\r\nContent-Length: 5\r\n",
           "Content-Length: 5, 5\r\n",
           "Content-Length: +5\r\n",
           "Content-Length: -1\r\n",
           "Content-Length: 0x5\r\n",
           "Content-Length: 99999999999999999999\r\n",
           "Transfer-Encoding: gzip, chunked\r\n",
           "Transfer-Encoding: chunked, chunked\r\n",
           "Transfer-Encoding: gzip\r\n",
           "Transfer-Encoding: identity\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
           "Transfer-Encoding : chunked\r\n",
           "Transfer-Encoding\x0b: chunked\r\n",
           "Content-Length : 5\r\n",
           "X: a\nContent-Length: 5\r\n",
           "X: a\rY: b\r\n",
           "Host: other\r\n",
           ": x\r\n",
           "A B: x\r\n",
           "X: a\x01\r\n",
       }) {
    EXPECT_EQ(ProblemOf(absl::StrCat(line, fields, "\r\nhello")), Problem::kMalformed) << fields;
  }
  for (const char* body :
       {"5\nhello\r\n", "z\r\n", "-1\r\n", "5 \r\nhello\r\n", "5\r\nhelloXX0\r\n\r\n", "ffffffffffffffffff\r\n"}) {
    EXPECT_NE(ProblemOf(absl::StrCat(line, "Transfer-Encoding: chunked\r\n\r\n", body)), Problem::kNone) << body;
  }
  for (const char* start :
       {"GET / HTTP/1.1\nHost: h\r\n\r\n", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "GET /\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "GET / HTTX/1.1\r\nHost: h\r\n\r\n", "\x16\x03\x01\x02",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "G\x01T / HTTP/1.1\r\nHost: h\r\n\r\n"}) {
    EXPECT_NE(ProblemOf(start), Problem::kNone) << start;
  }
  EXPECT_EQ(ProblemOf("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Problem::kMalformed);
}

TEST(RequestReader, EachPartIsBounded) {
  const std::string line = "POST / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(ProblemOf(absl::StrCat("GET /", std::string(2 * kHead, 'a'), " HTTP/1.1\r\n")), Problem::kHeadTooLarge);
  EXPECT_EQ(ProblemOf(absl::StrCat(line, "X: ", std::string(2 * kHead, 'a'), "\r\n\r\n")), Problem::kHeadTooLarge);
  std::string many = line;
  for (size_t i = 0; i < RequestReader::kFieldsMax; ++i) absl::StrAppend(&many, "a:\r\n");
  EXPECT_EQ(ProblemOf(many + "\r\n"), Problem::kHeadTooLarge);
  EXPECT_EQ(ProblemOf(absl::StrCat(line, "Content-Length: 101\r\n\r\n")), Problem::kBodyTooLarge);
  EXPECT_EQ(ProblemOf(absl::StrCat(line, "Content-Length: 100\r\n\r\n", std::string(100, 'x'))), Problem::kNone);
  EXPECT_EQ(ProblemOf(absl::StrCat(line, "Transfer-Encoding: chunked\r\n\r\n33\r\n", std::string(0x33, 'x'),
                                   "\r\n33\r\n", std::string(0x33, 'x'), "\r\n")),
            Problem::kBodyTooLarge);
}

// Whatever is made of valid requests by chance, and however it comes, the reader reads it or refuses it.
TEST(RequestReader, ChanceDoesNotEndTheProcess) {
  const std::string valid[] = {
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
      "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n0\r\nT: 1\r\n\r\n",
      "GET /a?b HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, close\r\nExpect: 100-continue\r\n\r\n"};
  std::mt19937 random(20260103);
  int read = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string bytes = valid[random() % 3];
    for (int changes = static_cast<int>(random() % 4); changes > 0 && !bytes.empty(); --changes) {
      const size_t at = random() % bytes.size();
      switch (random() % 3) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, random() % 5 + 1);
          break;
        default:
          bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 10));
          break;
      }
    }
    RequestReader reader(kHead, kBody);
    Feed(&reader, bytes, random() % 20 + 1);
    if (reader.done()) ++read;
    EXPECT_LE(reader.body().size(), kBody);
  }
  EXPECT_GT(read, 10'000);
}

}  // namespace
}  // namespace holdfast::service
