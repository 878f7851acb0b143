#!/bin/sh
# Puts what the image holds into a folder: the programs, the shared libraries that they load, the authorities of TLS, and
# the licenses of the libraries. Runs in a stage of the Dockerfile, where the libraries' packages are installed.
#
#   image-files.sh FOLDER PROGRAM...
#
# SBOM beside the first program (sbom.json), if there is one, becomes a file of the image.
set -eu

folder=$1
shift
install -d "$folder/etc/ssl/certs" "$folder/usr/local/bin" "$folder/usr/share/doc/holdfast"
install -m 0755 "$@" "$folder/usr/local/bin/"
sbom=$(dirname "$1")/sbom.json
[ ! -e "$sbom" ] || install -m 0644 "$sbom" "$folder/usr/share/doc/holdfast/"

# The loader looks for libraries in the folders that it was built with, so each keeps its name and its folder.
ldd "$@" | grep -o '/[^ :]*\.so[^ :]*' | sort -u | while read -r library; do
  install -D "$(realpath "$library")" "$folder$library"
  for name in "$(realpath "$library")" "${library#/usr}"; do
    # Packages know files of /usr/lib by either path.
    package=$(dpkg-query -S "$name" "${name#/usr}" 2>/dev/null | sed -n '1s/[,:].*//p' || true)
    [ -n "$package" ] || continue
    install -D -m 0644 "/usr/share/doc/$package/copyright" "$folder/usr/share/doc/$package/copyright"
    break
  done
done
cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
# Names of users for those who look; any other number works too.
echo 'root:x:0:0::/:/sbin/nologin
holdfast:x:10001:0::/var/lib/holdfast:/sbin/nologin' >"$folder/etc/passwd"
echo 'root:x:0:' >"$folder/etc/group"
install -d -m 1777 "$folder/tmp"
install -d -o 10001 -g 0 -m 0770 "$folder/var/lib/holdfast"
