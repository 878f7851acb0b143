// A client of HTTP that is as small as it can be, for tests.

#ifndef HOLDFAST_TESTS_INTEGRATION_HTTP_GET_H_
#define HOLDFAST_TESTS_INTEGRATION_HTTP_GET_H_

#include <string>

namespace holdfast::testing {

// Opens a connection to ADDRESS:PORT of 127.0.0.1 and sends nothing. The caller closes it; -1 if there is none.
int ConnectTo(const std::string& address);

// Returns the whole answer to a GET of this path, headers included; "" if there is none.
std::string HttpGet(const std::string& address, const std::string& path);

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_INTEGRATION_HTTP_GET_H_
