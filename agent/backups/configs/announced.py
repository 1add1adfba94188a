"""What announces a secret in the configuration of a network device: patterns (RE2), each with a group `secret`.

They are the statements of the vendors' command references. One too many hides a word; one too few publishes a password.
"""

_QUOTED = r'"(?:[^"\\]|\\.)*"|"[^"]*"'
VALUE = rf"(?P<secret>(?:{_QUOTED})(?:[^\s;]\S*)?|\S+)"
_ASSIGNED = rf"(?P<secret>{_QUOTED}|\S+)"
KIND = (  # how the secret is written: any number of such words
    r"(?:(?:[0-9]{1,2}|level +[0-9]+|encrypted|clear|plain|password|md5|sha|sha1|sha256|sha512|hmac-\S+|des|3des"
    r"|aes(?:[ -][0-9]{3})?|ascii|hexadecimal|hex|cipher|simple|irreversible-cipher|hash|string|text|local|remote|ENC) +)*"
)

EVERYWHERE: tuple[str, ...] = (
    rf"\b(?:password|passwd|passphrase|pass-phrase|secret|key-string|shared-secret|server-key|shared-key|authentication-key|encrypted-password|(?:tacacs|radius)-server key|isakmp key|wpa-psk|priv|auth-password|priv-password|auth-pwd|priv-pwd|private-key|psksecret|secondary-key|text-authentication) +{KIND}{VALUE}",
    rf"\bauth +(?:md5|sha|sha1|sha256|sha512) +{KIND}{VALUE}",
    rf"\bpre-shared-key +(?:(?:address|hostname)\b.*?\bkey +)?{KIND}{VALUE}",
    rf"\b(?:[a-z]+-server|server-private|client|failover|pac)\b(?:.*?\s)?key +{KIND}{VALUE}",
    rf"\b(?:message-digest|authentication)-key +[0-9]+ +(?:md5|sha\S*|[hc]mac-\S+) +{KIND}{VALUE}",
    rf"\bauthentication-key +[0-9]+ +type +\S+ +value +{VALUE}",
    rf"\bmd5 +[0-9]+ +key +{VALUE}",
    rf"\b(?:standby|vrrp|glbp|nhrp) +(?:.*?\s)?authentication +{KIND}{VALUE}",
    r"\bipsec +spi +[0-9]+ +(?P<secret>\S.*)$",
    r"\bset session-key +.*?\b(?:ah|esp) +[0-9]+ +(?P<secret>\S.*)$",
    rf"\bset-key +(?:ascii|hex) +(?:[0-9] +)?{VALUE}",
    rf"\bencryption\b.*?\bkey +[0-9]+ +size +\S+ +(?:[0-9] +)?{VALUE}",
    rf"\bauthentication +(?:md5 +|string +|text +|key +)(?:key-string +)?(?:[0-9] +)?{VALUE}",
    rf"\bauthentication mode +hmac-\S+ +(?:[0-9] +)?{VALUE}",
    rf"\bkey-id +[0-9]+ +algorithm +\S+ +key +{KIND}{VALUE}",
    rf"\bkey +(?:authentication|accounting|authorization) +{KIND}{VALUE}",
    rf"\b(?:cipher|irreversible-cipher) +{VALUE}",
    rf"\bsnmp-server community +{KIND}{VALUE}",
    rf"\bsnmp-server (?:mib )?community-map +{KIND}{VALUE}",
    rf"\bsnmp-server host +.*?\bversion +(?:1|2c) +{KIND}{VALUE}",
    rf"\bsnmp-server host +\S+ +(?:traps +|informs +)?{VALUE}(?: +udp-port +[0-9]+)?(?: +[a-z][a-z-]*)*$",
    rf"\bsnmp(?:-server host)?\b(?:.*?\s)?community +(?:[0-9] +)?{VALUE}",
    rf"\bsnmp-agent community +(?:read|write) +{KIND}{VALUE}",
    rf"(?i)\b[a-z0-9-]*(?:password|secret|passphrase|pre-?shared-key|private-key|auth(?:entication)?-key|md5-key|enc-key|ah-key|protection-key|static-key-[0-9])={_ASSIGNED}",
    r"^ *key +(?:[0-9] +)?(?P<secret>\"[^\"]*\"|\S*[^\s0-9]\S*)$",
    r"^ *key +[0-9] +(?P<secret>\S+)$",  # how it is written, and digits; without that, the number of a key
    rf"^ *key +[0-9a-fA-F]+ +[0-9] +{VALUE}",
    r'[a-z][a-z0-9+.-]*://[^\s:/@"]*:(?P<secret>[^\s@/"]+)@',
    r"""(?i)\bbearer +(?P<secret>[^\s"']+)""",
    r"""(?i)\bauthorization: +(?:[a-z]+ +)?(?P<secret>[^\s"']+)""",
)
# Below a line that says what this is about: the number of a key is all digits in a key chain, and a secret elsewhere.
WITHIN: tuple[tuple[str, str], ...] = (
    (r"^(?:aaa (?:group )?server|(?:tacacs|radius|ldap)(?:-| )server)\b", r"^ +key +(?P<secret>[0-9]+)$"),
)
COMMUNITIES_OF_JUNOS = (r"^snmp +\{", r"^ *community +(?P<secret>[^\s;]+);?")
GROUPS_OF_XR = (r"^router (?:hsrp|vrrp)\b", rf"^ *authentication +{KIND}{VALUE}$")
ARISTA: tuple[str, ...] = (r'auth=key,(?P<secret>[^\s",]+)',)
IN_CLEAR: tuple[str, ...] = (  # of Huawei's and Comware's
    rf"\b(?:plain|simple) +(?:plain +|cipher +)*{VALUE}",
    rf"\bsuper password +.*?\b(?:simple|hash|cipher) +{VALUE}",
    rf"\bsecurityname +(?:cipher +)?{VALUE}",
    rf"\bsnmp-agent\b.*?\bauthentication-mode +\S+ +{KIND}{VALUE}",
    rf"\bsnmp-agent\b.*?\bprivacy-mode +\S+ +{KIND}{VALUE}",
    rf"\bauthentication-keyid +[0-9]+ +authentication-mode +\S+ +{KIND}{VALUE}",
    rf"\b(?:vrrp vrid [0-9]+|isis|area|domain)[ -]authentication-mode +md5 +{KIND}{VALUE}",
    rf"\bauthentication-mode +(?:md5|hmac-\S+) +[0-9]+ +{KIND}{VALUE}",
    rf"\bpin verify +(?:auto +)?{VALUE}",
    r"(?P<secret>%(?:\^%#|@%@|\$%\$|#%#|\+%##)\S+)",
)
FORTINET: tuple[str, ...] = (
    r"\bENC +(?P<secret>\S+)",
    rf"^ *set +(?:community|(?:[a-z0-9-]+-)?(?:passwd|password|secret|psk|pin|token|passphrase|auth-string)) +{VALUE}",
    rf"^ *set +(?:[a-z0-9-]+-)?(?:enc|auth|api|wep|ddns|md5|secret|private|fixed|session|shared|encryption|access)-?key[0-9]* +(?:[0-9]+ +)?{VALUE}",
)
COMMUNITIES_OF_FORTINET = (r"^ *config system snmp community$", rf"^ *set name +{VALUE}")
ROUTEROS: tuple[str, ...] = (rf"\s(?:sim-)?pin={_ASSIGNED}",)
MENUS_OF_ROUTEROS: tuple[tuple[str, str], ...] = (
    (r"^ */snmp[ /]community\b", rf"\bname={_ASSIGNED}"),
    (r"^ */zerotier\b", rf"\bidentity={_ASSIGNED}"),
    (r"^ */container[ /]envs\b", rf"\bvalue={_ASSIGNED}"),
)
