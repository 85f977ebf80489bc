"""app/orders.py: an order is carried out whole, whatever its client or a disk does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from app.orders import Orders


class World:
    """Profiles, a store, a report and a log that write down what was done, and a disk that does not answer."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.cloud = asyncio.Event()
        self.waiting = 0

    def __contains__(self, name: str) -> bool:
        return True

    def purge(self, name: str) -> None:
        """Drop a session."""
        self.done.append(f"purge {name}")

    def renew(self, name: str) -> Coroutine[Any, Any, None]:
        """Refresh a profile."""
        self.done.append(f"renew {name}")
        return self.settled(name)

    async def settled(self, name: str) -> None:
        """Wait until the cloud answers."""
        self.waiting += 1
        try:
            await self.cloud.wait()
        finally:
            self.waiting -= 1

    def remove(self, name: str) -> asyncio.Future[None]:
        """Remove a stored session when the disk answers."""
        self.done.append(f"remove {name}")
        return asyncio.get_running_loop().create_future()

    def refresher(self, name: str) -> str:
        """Return what the report is about."""
        return name

    def refreshed(self, name: str) -> dict[str, Any]:
        """Return the status of a profile."""
        return {"profile": name}

    def write(self, *_: object, **__: object) -> None:
        """Write a log line."""


async def turns() -> None:
    """Let the event loop run what is ready."""
    for _ in range(20):
        await asyncio.sleep(0)


def orders(world: Any) -> Orders:
    """Return the orders of a world."""
    return Orders(world, lambda: [world], world, world)


async def test_purge_goes_on_without_its_client() -> None:
    """A purge whose connection ends beside a disk that hangs drops, removes and refetches every session."""
    world = World()
    task = asyncio.create_task(orders(world).renew(["a", "b"], True, 0))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    # A disk delays no refetch.
    assert world.done == ["purge a", "purge b", "remove a", "remove b", "renew a", "renew b"]


async def test_clients_that_leave_leave_nothing_behind() -> None:
    """A client that orders and leaves, again and again, beside a cloud that hangs adds no task."""
    world = World()
    before = asyncio.all_tasks()
    for _ in range(100):
        task = asyncio.create_task(orders(world).renew(["a", "b"], False, 0))
        await turns()
        assert world.waiting == 2
        task.cancel()
        await asyncio.wait([task])
        await turns()

    assert world.waiting == 0
    assert asyncio.all_tasks() == before
    assert world.done == ["renew a", "renew b"] * 100


async def test_refresh_removes_nothing() -> None:
    """A refresh keeps what is stored, and returns the status of each profile."""
    world = World()
    world.cloud.set()

    assert await orders(world).renew(["a"], False, 0) == [{"profile": "a"}]
    assert world.done == ["renew a"]
