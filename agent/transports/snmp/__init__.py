"""SNMP v2c and v3 on UDP: own codec, bounded in everything that a device can send.

ber (bytes), message (v2c and PDUs), usm (v3), hub (sockets), session (GET and tables): each knows only those before it.
"""
