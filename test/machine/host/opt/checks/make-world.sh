#!/bin/sh
# The host's neighbour, which serves HTTP on two ports and counts what comes from which address.
set -eu
ip netns add world
ip link add eth0 type veth peer name eth0 netns world
ip -n world link set lo up
ip -n world link set eth0 up
ip -n world address add 192.0.2.2/24 dev eth0
ip -n world route add 198.51.100.0/24 via 192.0.2.1
if [ -e /proc/net/if_inet6 ]; then
  ip -n world address add 2001:db8:0:1::2/64 dev eth0 nodad
  ip -n world route add 2001:db8:100::/64 via 2001:db8:0:1::1
fi
ip netns exec world nft -f - <<'RULES'
table inet seen {
  chain input {
    type filter hook input priority 0
    ip saddr 192.0.2.1 tcp dport 80 counter
    ip saddr 198.18.0.20 counter
    ip saddr 198.51.100.10 counter
    ip saddr 198.51.100.99 counter
    ip6 saddr 2001:db8:100::10 counter
    ip6 saddr 2001:db8:100::99 counter
  }
}
RULES
for port in 80 81; do ip netns exec world busybox httpd -p "$port" -h /opt/checks; done
