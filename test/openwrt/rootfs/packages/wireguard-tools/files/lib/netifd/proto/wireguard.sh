# The protocol `wireguard` for the stand-in of netifd, which reads this file when it starts.
# shellcheck shell=dash disable=SC2154

# Adds a peer to the file that `wg` reads.
_wireguard_peer() { # SECTION
	local value key
	config_get value "$1" public_key
	[ -n "$value" ] || return 0
	{
		echo '[Peer]'
		echo "PublicKey = $value"
		config_get value "$1" preshared_key
		[ -z "$value" ] || echo "PresharedKey = $value"
		config_get value "$1" allowed_ips
		[ -z "$value" ] || echo "AllowedIPs = $(echo "$value" | tr ' ' ',')"
		config_get value "$1" endpoint_host
		config_get key "$1" endpoint_port 51820
		[ -z "$value" ] || echo "Endpoint = $value:$key"
		config_get value "$1" persistent_keepalive
		[ -z "$value" ] || echo "PersistentKeepalive = $value"
	} >>"$_wireguard_file"
}

# Routes to what a peer may send, where it is asked for.
_wireguard_routes() { # SECTION INTERFACE
	local wanted range ranges
	config_get_bool wanted "$1" route_allowed_ips 0
	[ "$wanted" = 1 ] || return 0
	config_get ranges "$1" allowed_ips
	for range in $ranges; do
		ip route add "$range" dev "$2"
	done
}

proto_wireguard_setup() { # INTERFACE
	local value address code
	ip link del dev "$1" 2>/dev/null
	# The kernel's own where it has it, as on every box; else the same in a process.
	if ! ip link add dev "$1" type wireguard 2>/dev/null; then
		rm -f "/var/run/wireguard/$1.sock"
		/usr/sbin/wireguard-go "$1" 3>&- || return
	fi
	_wireguard_file=/dev/.stand-in/netifd/$1.conf
	(
		umask 077
		config_get value "$1" private_key
		printf '[Interface]\nPrivateKey = %s\n' "$value" >"$_wireguard_file"
		config_get value "$1" listen_port
		[ -z "$value" ] || echo "ListenPort = $value" >>"$_wireguard_file"
		config_foreach _wireguard_peer "wireguard_$1"
	)
	wg setconf "$1" "$_wireguard_file"
	code=$?
	rm -f "$_wireguard_file"
	if [ "$code" != 0 ]; then
		proto_wireguard_teardown "$1"
		return 1
	fi
	config_get value "$1" mtu 1420
	ip link set dev "$1" mtu "$value" up
	config_get value "$1" addresses
	for address in $value; do
		ip address add "$address" dev "$1"
	done
	config_foreach _wireguard_routes "wireguard_$1" "$1"
}

proto_wireguard_teardown() { # INTERFACE
	ip link del dev "$1"
	rm -f "/var/run/wireguard/$1.sock"
}
