#!/bin/sh
# What is asked of routewall on a machine that boots its release's own kernel: at the first boot, at the one behind it, and at one
# without IPv6. Tells a line for each check: `ok WHAT`, or `not ok WHAT` and what was said; in the end `done`. Then it switches off.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
export PATH HOME LC_ALL
here=/opt/checks
said=/run/checks.said

check() {
  what=$1
  shift
  if "$@" >"$said" 2>&1; then
    echo "ok $what"
  else
    echo "not ok $what"
    sed 's/^/  # /' "$said"
  fi
}

not() { ! "$@"; }

# Within half a minute: services start, addresses settle.
soon() {
  for _ in $(seq 60); do
    "$@" && return
    sleep 0.5
  done
  return 1
}

host() { "$@"; }
world() { ip netns exec world "$@"; }
inside() {
  name=$1
  shift
  nsenter --target "$(lxc-info -n "$name" -p -H)" --net -- "$@"
}
web() { inside web "$@"; }
private() { inside private "$@"; }
left() { inside left "$@"; }
right() { inside right "$@"; }

# IN ADDRESS PORT: whether HTTP is answered.
fetches() {
  "$1" timeout 5 busybox wget -q -O /dev/null "http://$2:$3/hello" && echo "answered: $2 $3"
}
pings() { "$1" ping -n -c 2 -i 0.3 -W 2 "$2"; }

# PORT: of the container, asked from outside.
is_open() { fetches world 198.51.100.10 "$1" && fetches world '[2001:db8:100::10]' "$1"; }
is_shut() { not fetches world 198.51.100.10 "$1" && not fetches world '[2001:db8:100::10]' "$1"; }

is_held4() { fetches world 198.51.100.10 80 && not fetches world 198.51.100.10 81; }
is_held() { is_open 80 && is_shut 81; }
is_sealed() { is_shut 80 && is_shut 81; }

make_container() {
  root=/var/lib/lxc/$1/rootfs
  mkdir -p "$root/bin" "$root/dev" "$root/etc" "$root/proc" "$root/run" "$root/sbin" "$root/sys" "$root/tmp"
  cp /bin/busybox "$root/bin/busybox"
  echo hello >"$root/tmp/hello"
  cat >"$root/sbin/init" <<'INIT'
#!/bin/busybox sh
trap 'exit 0' PWR TERM
for port in 80 81; do /bin/busybox httpd -p "$port" -h /tmp; done
while :; do
  /bin/busybox sleep 3600 &
  wait $!
done
INIT
  chmod 755 "$root/sbin/init"
}

# ADDRESS: that the world has seen packets from it.
was_seen() {
  world nft list chain inet seen input | grep -F " $1 " | grep -v 'packets 0 '
}

spoofs4() {
  web ip address add 198.51.100.99/32 dev eth0
  web ping -n -c 3 -i 0.3 -W 1 -I 198.51.100.99 192.0.2.2
  web ip address del 198.51.100.99/32 dev eth0
}
spoofs6() {
  web ip address add 2001:db8:100::99/128 dev eth0 nodad
  web ping -n -c 3 -i 0.3 -W 1 -I 2001:db8:100::99 2001:db8:0:1::2
  web ip address del 2001:db8:100::99/128 dev eth0
}

sends_stolen4() { spoofs4 | grep '^3 packets transmitted, 0 received'; }
sends_stolen() { [ "$({ spoofs4; spoofs6; } | grep -c '^3 packets transmitted, 0 received')" = 2 ]; }

is_confined() {
  grep lxc-start /sys/kernel/security/apparmor/profiles && grep '^lxc-' "/proc/$(lxc-info -n web -p -H)/attr/current"
}
denies_hook() { dmesg | grep -E 'apparmor="DENIED".* comm="(hook|perl)"'; }

main_pid() { systemctl show -P MainPID routewall.service; }
has_limits() { [ "$(tc qdisc show | grep -c tbf)" = 2 ]; }
has_rules() { nft list table inet routewall; }
is_owned() { has_rules | grep -q 'flags owner'; }

owns_tables() { grep -q 'VERSION_ID="1[3-9]"' /etc/os-release; }

# Since Debian 13 kernel and nft let the daemon own its tables: another program's flush doesn't reach them, whatever the daemon does.
survives_flush() {
  is_owned || return
  kill -STOP "$(main_pid)"
  nft flush ruleset
  is_held
  held=$?
  kill -CONT "$(main_pid)"
  return $held
}

heals() {
  nft flush ruleset
  soon is_held
}

is_replaced() {
  old=$(main_pid)
  kill -KILL "$old"
  is_held || return
  soon systemctl is-active routewall.service && [ "$(main_pid)" != "$old" ]
}

heals4() {
  nft flush ruleset
  soon is_held4
}

# Not by the journal: what took its time on a slow machine is told there too.
has_trouble() { routewall status | grep -E 'rror|not in force'; }

opens_81() {
  sed -i 's/allow: \[http,/allow: [tcp\/81,/' /etc/routewall/containers/web.yaml
  soon is_open 81 && is_shut 80
}
opens_80() {
  sed -i 's/allow: \[tcp\/81,/allow: [http,/' /etc/routewall/containers/web.yaml
  soon is_held
}

keeps_last_good() {
  cp /etc/routewall/containers/web.yaml /run/web.yaml
  sed -i 's/allow: \[http,/allow: [htps,/' /etc/routewall/containers/web.yaml
  soon grep -q 'htps' /run/routewall/status.json && is_held
  kept=$?
  cp /run/web.yaml /etc/routewall/containers/web.yaml
  return $kept
}

is_mentioned() { nft list ruleset | grep -q '198[.]51[.]100[.]10' || ip route show proto 119 | grep -q .; }

began() { systemctl show -P "$2" "$1"; }
guard_came_first() {
  [ "$(began routewall-guard.service ActiveEnterTimestampMonotonic)" -lt \
    "$(began networking.service ExecMainStartTimestampMonotonic)" ]
}

kernel_complains() { dmesg | grep -E 'WARNING|BUG|Oops|Call Trace|refcount|leaked|segfault'; }

first_boot() {
  for name in web private left right; do make_container $name; done
  check 'the package is installed' apt-get install -y -qq $here/routewall.deb
  check 'the guard and the daemon serve' soon systemctl is-active routewall-guard.service routewall.service
  check 'a container starts by its hook' lxc-start -n web
  check 'AppArmor confines it, and who starts it' is_confined
  check 'and denies its hook nothing' not denies_hook
  check 'what its policy allows is answered, and nothing else, in both families' soon is_held
  check 'it is pinged' pings world 198.51.100.10
  check 'it is pinged by IPv6' pings world 2001:db8:100::10
  check 'it pings' pings web 192.0.2.2
  check 'it pings by IPv6' pings web 2001:db8:0:1::2
  check 'the world serves what is not allowed, too' fetches host 192.0.2.2 81
  check 'also by IPv6' fetches host '[2001:db8:0:1::2]' 81
  check 'it asks for what it may' fetches web 192.0.2.2 80
  check 'and for nothing else' not fetches web 192.0.2.2 81
  check 'nor by IPv6' not fetches web '[2001:db8:0:1::2]' 81
  check 'it sends from stolen addresses' sends_stolen
  check 'its own address is seen outside' was_seen 198.51.100.10
  check 'its own of IPv6, too' was_seen 2001:db8:100::10
  check 'a stolen one is not' not was_seen 198.51.100.99
  check 'nor one of IPv6' not was_seen 2001:db8:100::99
  check 'what was refused is told' sh -c 'routewall denials -n web | grep -q tcp/81'
  check 'a private container starts' lxc-start -n private
  check 'its published port is answered' soon fetches world 192.0.2.1 8080
  check 'it is seen as the host' fetches private 192.0.2.2 80
  check 'and by the host alone' not was_seen 198.18.0.20
  check 'which was seen' was_seen 192.0.2.1
  check 'two on a bridge start' sh -c 'lxc-start -n left && lxc-start -n right'
  check 'one asks the other for what both allow' soon fetches left 198.51.100.212 80
  check 'and for nothing else' not fetches left 198.51.100.212 81
  check 'nor the other way' not fetches right 198.51.100.211 80
  for name in private left right; do check "$name is stopped" lxc-stop -n $name -t 20; done
  check 'limits are in force, both ways' has_limits
  check 'the kernel holds what the files say' soon sh -c 'routewall status | grep -q "holds what the files say"'
  owns_tables && check "another program's flush leaves owned tables, also while the daemon hangs" survives_flush
  check "another program's flush is healed" heals
  check 'an edit is in force' opens_81
  check 'and back' opens_80
  check 'a mistake changes nothing' keeps_last_good
  check 'a panic is switched on' routewall panic on -n web
  check 'and seals the container' is_sealed
  check 'a panic is switched off' routewall panic off -n web
  check 'and leaves what was there' soon is_held
  check 'a daemon that is killed leaves its rules, and is replaced' is_replaced
  check 'so it holds' soon is_held
  check 'the container stops' lxc-stop -n web -t 20
  check 'and nothing of it is left' soon not is_mentioned
  check 'what npm start shows is as it must be' timeout 1500 node $here/routewall/dist/sandbox.mjs
  check 'the kernel tells of nothing bad' not kernel_complains
}

second_boot() {
  check 'the guard shut containers before the network was up' guard_came_first
  check 'the guard and the daemon serve' soon systemctl is-active routewall-guard.service routewall.service
  check 'the container has started' soon sh -c 'lxc-info -n web -s -H | grep -q RUNNING'
  check 'what its policy allows is answered, and nothing else' soon is_held
  check 'the kernel tells of nothing bad' not kernel_complains
}

# LXC starts nobody who has addresses of it there.
forget_ipv6() {
  sed -i '/ipv6/d' /var/lib/lxc/web/config
  sed -i '/inet6/,$d; s/ net[.]ipv6.*//' /etc/network/interfaces
}

# As where an administrator has switched it off by the kernel's own option.
without_ipv6() {
  check 'there is no IPv6' not test -e /proc/net/if_inet6
  check 'the guard and the daemon serve' soon systemctl is-active routewall-guard.service routewall.service
  check 'the container has started' soon sh -c 'lxc-info -n web -s -H | grep -q RUNNING'
  check 'what its policy allows is answered, and nothing else' soon is_held4
  check 'it asks for what it may' fetches web 192.0.2.2 80
  check 'and for nothing else' not fetches web 192.0.2.2 81
  check 'it sends from a stolen address' sends_stolen4
  check 'which is not seen outside' not was_seen 198.51.100.99
  check 'its own is' was_seen 198.51.100.10
  check 'a private container starts' lxc-start -n private
  check 'its published port is answered' soon fetches world 192.0.2.1 8080
  check 'two on a bridge start' sh -c 'lxc-start -n left && lxc-start -n right'
  check 'one asks the other for what both allow' soon fetches left 198.51.100.212 80
  check 'and for nothing else' not fetches left 198.51.100.212 81
  check 'the kernel holds what the files say' soon sh -c 'routewall status | grep -q "holds what the files say"'
  check 'and has refused nothing for want of IPv6' soon not has_trouble
  check "another program's flush is healed" heals4
  for name in web private left right; do check "$name is stopped" lxc-stop -n $name -t 20; done
  check 'nothing of them is left' soon not is_mentioned
  check 'the kernel tells of nothing bad' not kernel_complains
  check 'the package is purged' apt-get purge -y -qq routewall
  check 'and leaves no rules' not has_rules
}

echo "# $(uname -r), $(nft --version), LXC $(lxc-info --version), Node $(node --version)"
if [ ! -e /proc/net/if_inet6 ]; then
  without_ipv6
  echo 'done'
  exec systemctl poweroff
fi
if [ ! -e $here/booted ]; then
  touch $here/booted
  first_boot
  echo '# boots again'
  exec systemctl reboot
fi
second_boot
forget_ipv6
echo 'done'
exec systemctl poweroff
