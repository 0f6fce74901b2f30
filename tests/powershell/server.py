"""The world behind a socket: a stand-in sends a line of JSON, and gets what Windows would say as one."""

import json
import socketserver
import threading
from pathlib import Path
from typing import Any, cast

from tests.powershell import setup_behaviours
from tests.powershell.behaviours import BEHAVIOURS
from tests.powershell.world import Asks, Fails, World

assert setup_behaviours  # its behaviours stand among the others once it is imported


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    world: World


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        world = cast("_Server", self.server).world
        try:
            for line in self.rfile:
                self.wfile.write(json.dumps(_answer(world, json.loads(line))).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            return


def serve(world: World, path: Path) -> _Server:
    """Answer for a world at a socket, until the server is shut down."""
    server = _Server(str(path), _Handler)
    server.world = world
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True).start()
    return server


def _answer(world: World, request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer; a behaviour that breaks is an error of its cmdlet, and breaks nothing that comes after."""
    try:
        return answer(world, request)
    except Exception as error:  # noqa: BLE001
        words = f"the stand-in is broken: {error!r}"
        told = {"message": words, "id": "BrokenStandIn", "category": "NotSpecified", "code": None, "terminating": True}
        return {"objects": [], "errors": [told], "refused": words}


def answer(world: World, request: dict[str, Any]) -> dict[str, Any]:
    """Return what comes of a call of a stand-in, of a look into the registry, or of a property that is set."""
    if "registry" in request:
        return _registry(world, request["host"], request["registry"])
    if "set" in request:
        world.sets.append((f"{request['set'].rpartition('.')[2]} {request['key']}", request["name"], request["value"]))
        return _set(world, request)
    host, cmdlet, given = request["host"], request["cmdlet"], request["args"]
    world.calls.append((host, cmdlet, given))
    world.before.get(cmdlet, lambda: None)()
    try:
        if cmdlet in world.faults:
            raise world.faults[cmdlet]
        if cmdlet in world.shows:
            return {"objects": world.shows[cmdlet], "errors": []}
        if cmdlet not in BEHAVIOURS:
            raise Fails(f"{cmdlet}: this stand-in does nothing", "NoBehaviour", "NotImplemented", terminating=True)
        return {
            "objects": BEHAVIOURS[cmdlet](world, host, given | {"confirmed": request.get("confirmed")}),
            "errors": [],
        }
    except Asks as question:
        world.calls.pop()
        return {"continue": str(question)}
    except Fails as error:
        told = {"message": str(error), "id": error.kind, "category": error.category, "code": error.code}
        return {"objects": [], "errors": [{**told, "terminating": error.terminating}]}
    finally:
        world.after.get(cmdlet, lambda: None)()


def _set(world: World, request: dict[str, Any]) -> dict[str, Any]:
    """Keep a property that was set of a group, a network, a resource or the cluster."""
    kind, key = request["set"].rpartition(".")[2], request["key"]
    if kind == "ClusterNetwork":
        others = [one["Role"] for one in world.networks if one["Id"] != key]
        if request["value"] == "None" and "ClusterAndClient" not in others:
            return {"refused": "The cluster must have a network for its own communication."}
        next(one for one in world.networks if one["Id"] == key)[request["name"]] = request["value"]
    elif (kind, request["name"]) == ("ClusterResource", "Name"):
        next(one for one in world.resources if one.id == key).name = request["value"]
    else:
        place = {"ClusterGroup": f"group {key}", "ClusterResource": f"resource {key}"}.get(kind, kind)
        world.settings.setdefault(place, {})[request["name"]] = request["value"]
    return {}


def _registry(world: World, host: str, path: str) -> dict[str, Any]:
    """Return what stands under a key of the cluster's database: its values, and the keys beneath it."""
    words = [one for one in path.replace("\\", "/").split("/") if one]
    gone: dict[str, Any] = {"exists": False, "children": [], "values": {}}
    if words[1].casefold() != "cluster" or not world.hosts[host].has_database:
        return gone
    if words[2:] == ["Resources"]:
        return {"exists": True, "children": [one.id for one in world.resources], "values": {}}
    if words[2:] == ["Groups"]:
        return {"exists": True, "children": [f"g-{name}" for name in world.groups], "values": {}}
    if words[2] == "Groups":
        name = words[3].removeprefix("g-")
        contains = [one.id for one in world.resources if one.group == name]
        return {"exists": True, "children": [], "values": {"Name": name, "Contains": contains}}
    one = next(one for one in world.resources if one.id == words[3])
    if words[4:] == ["Parameters"]:
        values = one.parameters or {}
        return {"exists": one.parameters is not None, "children": [], "values": values}
    return {"exists": True, "children": ["Parameters"], "values": {"Name": one.name, "Type": one.type}}
