"""What configurations look like, per platform: written after what devices print, with secrets that open nothing."""

from collections.abc import Mapping
from types import MappingProxyType

FRR = """\
Building configuration...

Current configuration:
!
frr version 8.4.4
frr defaults traditional
hostname sw1
log file /dev/null
no ipv6 forwarding
password HIDE-line
enable password HIDE-enable
!
key chain backbone
 key 1
  key-string HIDE-chain
 exit
exit
!
interface eth0
 ip address 192.0.2.1/24
 ip ospf authentication message-digest
 ip ospf message-digest-key 1 md5 HIDE-ospf
exit
!
router bgp 64512
 neighbor 192.0.2.2 remote-as 64513
 neighbor 192.0.2.2 password HIDE-bgp
exit
!
end
"""

IOS = """\
Building configuration...

Current configuration : 3412 bytes
!
! Last configuration change at 18:41:02 UTC Thu Nov 24 2016 by ops
! NVRAM config last updated at 18:43:10 UTC Thu Nov 24 2016 by ops
!
version 15.5
service timestamps debug datetime msec
hostname sw1
!
enable secret 5 HIDE$1$abcd$efgh
enable password HIDE-plain
!
username ops privilege 15 secret 9 HIDE$9$xyz
username old password 7 HIDE0822455D0A16
!
key chain RIP
 key 1
  key-string 7 HIDE02050D480809
!
crypto isakmp key HIDE-isakmp address 198.51.100.1
!
interface GigabitEthernet1
 description password policy: see the wiki
 ip address 10.1.1.1 255.255.255.0
 ip ospf message-digest-key 1 md5 7 HIDE1234
 standby 1 authentication md5 key-string 7 HIDE5678
!
router bgp 65001
 neighbor 10.0.0.3 password 7 HIDE9abc
!
snmp-server community HIDE-ro RO 10
snmp-server host 10.1.2.3 version 2c HIDE-trap
tacacs-server host 10.9.9.9
tacacs-server key 7 HIDEdef0
radius server one
 key 7 HIDE1111
!
ntp clock-period 17179869
line vty 0 4
 password 7 HIDE2222
!
end
"""

EOS = """\
! Command: show running-config
! device: sw1 (DCS-7050SX3-48YC8, EOS-4.29.2F)
!
! boot system flash:/EOS.swi
!
hostname sw1
!
username admin privilege 15 role network-admin secret sha512 HIDE$6$salt$hash
snmp-server community HIDE-ro ro
snmp-server host 10.1.2.4 version 2c HIDE-trap
!
interface Management1
   ip address 192.0.2.10/24
!
router bgp 65001
   neighbor 10.0.0.3 password 7 HIDEabc==
!
end
"""

NXOS = """\

!Command: show running-config
!Running configuration last done at: Mon Nov 23 05:00:00 2026
!Time: Mon Nov 23 06:00:00 2026

version 9.3(5) Bios:version 05.33
hostname sw1

username admin password 5 HIDE$5$abc  role network-admin
snmp-server user admin network-admin auth md5 HIDE0xaaaa priv HIDE0xbbbb localizedkey
snmp-server community HIDE-ro group network-operator
vrf context management
  ip route 0.0.0.0/0 192.0.2.1

interface mgmt0
  vrf member management
  ip address 192.0.2.10/24
line console
line vty
boot nxos bootflash:/nxos.9.3.5.bin
"""

JUNOS = """\
## Last commit: 2026-11-23 05:00:00 UTC by ops
version 21.4R1.12;
system {
    host-name sw1;
    root-authentication {
        encrypted-password "HIDE$6$abc"; ## SECRET-DATA
    }
    login {
        message "welcome { to the } lab";
    }
    radius-server {
        192.0.2.9 {
            secret "HIDE$9$xyz"; ## SECRET-DATA
        }
    }
}
snmp {
    community HIDE-ro {
        authorization read-only;
    }
}
interfaces {
    ge-0/0/0 {
        unit 0 {
            family inet {
                address 192.0.2.1/24;
            }
        }
    }
}
"""

VRP = """\
!Software Version V200R019C00SPC500
!Last configuration was updated at 2026-11-23 05:00:00+00:00 by ops
!Last configuration was saved at 2026-11-23 05:01:00+00:00 by ops
#
sysname sw1
#
snmp-agent community read cipher HIDE%^%#abc
#
aaa
 local-user ops password irreversible-cipher HIDE$1c$abc
#
ospf 1
 area 0.0.0.0
  authentication-mode md5 1 cipher HIDE%^%#def
#
user-interface vty 0 4
 authentication-mode aaa
#
return
"""

COMWARE = """\
#
 version 7.1.070, Release 6728P06
#
 sysname sw1
#
 snmp-agent community read HIDE-ro
#
local-user ops class manage
 password hash HIDE$h$6$abc
#
radius scheme one
 key authentication cipher HIDE$c$3$abc
#
return
"""

FORTIOS = """\
#config-version=FGT60F-7.2.5-FW-build1517-230606:opmode=0:vdom=0:user=ops
#conf_file_ver=123456789
#buildno=1517
#global_vdom=1
config system global
    set hostname "sw1"
    set timezone 26
end
config system admin
    edit "ops"
        set accprofile "super_admin"
        set password ENC HIDEabc==
    next
end
config vpn certificate local
    edit "own"
        set password ENC HIDEdef==
        set private-key "-----BEGIN ENCRYPTED PRIVATE KEY-----
HIDEMIIFDjBABgkqhkiG9w0BBQ0wMzAbBgkqhkiG
HIDEend
-----END ENCRYPTED PRIVATE KEY-----"
    next
end
config vpn ipsec phase1-interface
    edit "hq"
        set psksecret ENC HIDEghi==
    next
end
"""

ROUTEROS = """\
# 2026-11-23 05:00:00 by RouterOS 7.12
# software id = ABCD-EFGH
#
# model = RB5009
/interface bridge
add name=bridge1
/interface wireless security-profiles
set [ find default=yes ] wpa2-pre-shared-key=HIDE-wlan
/ip address
add address=192.0.2.1/24 interface=bridge1
/ppp secret
add name=far password="HIDE long one" service=l2tp
/system identity
set name=sw1
"""

PRINTED: Mapping[str, str] = MappingProxyType({
    "frr.frr.frr": FRR, "cisco.ios.ios": IOS, "arista.eos.eos": EOS, "cisco.nxos.nxos": NXOS,
    "junipernetworks.junos.junos": JUNOS, "community.network.ce": VRP, "comware": COMWARE,
    "fortinet.fortios.fortios": FORTIOS, "community.routeros.routeros": ROUTEROS,
})  # fmt: skip
