"""Variables that are made of each other, and by mistake in a circle."""

from harness import client
from harness.pairs import every_front
from harness.processes import free_port

SITE = """
map $b $a {{ default "<$b>"; }}
map $a $b {{ default "[$a]"; }}
map "$d$d" $d {{ default "$d$d"; }}
geo $g $g {{ default geo; }}
split_clients $s $s {{ * split; }}
map $arg_x $one {{ default 1; }}
map $one$one $two {{ 11 2; }}
map $two$two$one $three {{ 221 3; }}
server {{
    listen 127.0.0.1:{port};
    location = /circle {{ return 200 "$a$d|$g|$s"; }}
    location = /chain {{ return 200 "$three$two$one"; }}
}}
"""


@every_front
def test_a_circle_of_variables_ends_and_a_chain_is_none(machine, maker):
    port = free_port()
    machine.site("made", SITE.format(port=port))
    machine.front(maker).ready(port)
    with client.Connection(port) as connection:
        answer = connection.request(target="/circle")
        assert answer.status == 200 and answer.text().endswith("|geo|split")
        assert connection.request(target="/chain").text() == "321"
    assert "cycle while evaluating" in machine.error_log()
