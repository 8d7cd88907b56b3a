/** Service names that people know, each with what it stands for and one line for documentation. */

export interface CatalogueEntry {
  /** Service words; never names. */
  readonly services: readonly string[];
  readonly description: string;
}

/** `NAME SERVICE[+SERVICE] DESCRIPTION`. */
const table = `
amqp           tcp/5672               message broker (RabbitMQ)
amqps          tcp/5671               message broker over TLS
bacula         tcp/9101-9103          Bacula backup: director, file and storage daemons
bgp            tcp/179                Border Gateway Protocol
cassandra      tcp/9042               Cassandra's native protocol
ceph           tcp/3300,6789,6800-7568 Ceph monitors and daemons
consul         tcp/8300-8302,8500-8503,8600+udp/8301-8302,8600 Consul
cockpit        tcp/9090               web console of a host
couchdb        tcp/5984               CouchDB
dhcp           udp/67                 DHCP requests to a server
dhcpv6         udp/547                DHCPv6 requests to a server or relay
discard        tcp/9+udp/9            discards what it gets
dns            tcp/53+udp/53          name resolution
dns-over-quic  udp/853                name resolution over QUIC
dns-over-tls   tcp/853                name resolution over TLS
docker         tcp/2376               Docker's API over TLS
echo           tcp/7+udp/7            the echo service (not ping: that is icmp/echo-request)
elasticsearch  tcp/9200,9300          Elasticsearch and OpenSearch
esp            proto/50               IPsec's encrypted packets
etcd           tcp/2379-2380          etcd clients and peers
finger         tcp/79                 who is logged in
ftp            tcp/21                 FTP's control connection
git            tcp/9418               git's own protocol
glusterfs      tcp/24007-24008,49152-49251 GlusterFS
gre            proto/47               Generic Routing Encapsulation
grafana        tcp/3000               dashboards
graphite       tcp/2003-2004          metrics in Graphite's format
gopher         tcp/70                 menus of documents
http           tcp/80                 the web
http-alt       tcp/8080               the web's usual second port
http3          udp/443                the web over QUIC
https          tcp/443                the web over TLS
ident          tcp/113                who owns a connection
imap           tcp/143                reading mail
imaps          tcp/993                reading mail over TLS
influxdb       tcp/8086               InfluxDB
ipp            tcp/631                printing (CUPS)
ipsec          udp/500,4500+proto/50+proto/51 IPsec with key exchange and NAT traversal
irc            tcp/6667               chat
ircs           tcp/6697               chat over TLS
iscsi          tcp/3260               block devices over the network
jetdirect      tcp/9100               raw printing
kafka          tcp/9092               Kafka
kerberos       tcp/88+udp/88          tickets
kpasswd        tcp/464+udp/464        Kerberos password changes
kubernetes     tcp/6443               Kubernetes' API
l2tp           udp/1701               L2TP tunnels
ldap           tcp/389+udp/389        directory
ldaps          tcp/636                directory over TLS
llmnr          tcp/5355+udp/5355      link-local name resolution
managesieve    tcp/4190               mail filter rules
mdns           udp/5353               multicast name resolution
memcached      tcp/11211+udp/11211    Memcached
minio          tcp/9000-9001          MinIO object storage
mongodb        tcp/27017              MongoDB
mqtt           tcp/1883               messages of small devices
mqtts          tcp/8883               messages of small devices over TLS
mssql          tcp/1433               Microsoft SQL Server
munin          tcp/4949               Munin node
mysql          tcp/3306               MySQL and MariaDB
nats           tcp/4222               NATS
nbd            tcp/10809              network block device
netbios        udp/137-138+tcp/139    NetBIOS names, datagrams and sessions
netconf        tcp/830                network configuration over SSH
nfs            tcp/2049+udp/2049      NFS version 4
nrpe           tcp/5666               Nagios remote plugins
ntp            udp/123                time
nut            tcp/3493               state of power supplies
openvpn        udp/1194+tcp/1194      OpenVPN
ospf           proto/89               Open Shortest Path First
pgbouncer      tcp/6432               PostgreSQL connection pool
ping           icmp/echo-request      echo requests of both families
pop3           tcp/110                fetching mail
pop3s          tcp/995                fetching mail over TLS
postgresql     tcp/5432               PostgreSQL
pptp           tcp/1723+proto/47      PPTP tunnels
prometheus     tcp/9090               Prometheus
puppet         tcp/8140               Puppet server
quic           udp/443                QUIC, as in http3
radius         udp/1812-1813          authentication and accounting
rdp            tcp/3389+udp/3389      remote desktop
redis          tcp/6379               Redis and Valkey
rpcbind        tcp/111+udp/111        ports of RPC services
rsync          tcp/873                rsync's daemon
rtmp           tcp/1935               streaming
rtsp           tcp/554                streaming control
salt           tcp/4505-4506          Salt master
sip            tcp/5060+udp/5060      calls
sips           tcp/5061               calls over TLS
smb            tcp/445                Windows file shares
smtp           tcp/25                 mail between servers
smtps          tcp/465                mail submission over TLS
snmp           udp/161                monitoring of devices
snmptrap       udp/162                devices' own reports
socks          tcp/1080               SOCKS proxy
squid          tcp/3128               Squid proxy
ssh            tcp/22                 secure shell, also for git, scp and sftp
statsd         udp/8125               counters
stun           udp/3478+tcp/3478      finding one's public address
submission     tcp/587                mail from clients
svn            tcp/3690               Subversion's own protocol
syslog         udp/514+tcp/514        log messages
syslog-tls     tcp/6514               log messages over TLS
tacacs         tcp/49                 authentication of administrators
telnet         tcp/23                 unencrypted terminals
tftp           udp/69                 boot files
traceroute     udp/33434-33534        probes of traceroute
vault          tcp/8200               secrets
vnc            tcp/5900-5909          remote screens 0 to 9
vrrp           proto/112              shared router addresses
vxlan          udp/4789               layer 2 over UDP
whois          tcp/43                 who holds a name or address
wireguard      udp/51820              WireGuard
xmpp           tcp/5222,5269          chat: clients and servers
zabbix         tcp/10050-10051        Zabbix agent and server
zookeeper      tcp/2181               ZooKeeper
`;

export const catalogue: ReadonlyMap<string, CatalogueEntry> = new Map(
  table
    .trim()
    .split('\n')
    .map((line) => {
      const [name = '', services = '', ...words] = line.split(/\s+/);
      return [name, { services: services.split('+'), description: words.join(' ') }];
    }),
);
