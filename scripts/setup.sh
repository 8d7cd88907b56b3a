#!/bin/sh
# Installs what building, testing and the sandbox need and this machine lacks: Debian packages, then npm packages.
# It changes no network configuration and starts no service. Arguments: further Debian packages.
set -eu
cd "$(dirname "$0")/.."

packages="nftables iproute2 iptables ipset arptables lxc conntrack iputils-arping iputils-ping busybox-static util-linux procps
 diffutils perl-base tcpdump ndisc6 python3-scapy dbus debootstrap debian-archive-keyring
 dnsmasq-base dpkg-dev lintian shellcheck man-db systemd libglib2.0-bin $*"

missing=
for package in $packages; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "setup: installing Debian packages:$missing"
  if [ "$(id -u)" != 0 ]; then
    echo "setup: that needs root; run: sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  # Installing must not start a bridge, a bus or a firewall on this machine.
  policy=/usr/sbin/policy-rc.d made=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=yes
    trap '[ -z "$made" ] || rm -f "$policy"' EXIT
  fi
  apt-get update -qq
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
  # Nor may they start at its next boot; whoever wants these services had them before.
  for service in lxc:lxc-net bird2:bird frr:frr; do
    case " $missing " in *" ${service%%:*} "*) systemctl --quiet disable "${service#*:}.service" || true ;; esac
  done
fi

if ! cmp -s package-lock.json node_modules/.routewall-lock 2>/dev/null; then
  echo "setup: installing npm packages from package-lock.json"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.routewall-lock
fi

echo "setup: building dist/"
node scripts/build.mjs
