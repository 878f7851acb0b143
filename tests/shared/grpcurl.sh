# Provides grpcurl, which is built from its published module where there is none. A script sources this file after it has
# set `root`, the top of the tree. Sets `grpcurl`, the path of the program; returns 1 where there is no Go either.
grpcurl=$(command -v grpcurl || true)
if [ -z "$grpcurl" ]; then
  grpcurl=$root/build/tools/grpcurl
  if [ ! -x "$grpcurl" ]; then
    command -v go >/dev/null || return 1
    GOBIN=$root/build/tools go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
  fi
fi
