"""A server by the official Python SDK, of either generation, for the MCP client to talk to.

usage: server.py stdio
       server.py http PORT
"""

import asyncio
import pathlib
import sys

from mcp.types import ToolAnnotations

try:
    from mcp.server.mcpserver import Context, Image, MCPServer as Server

    MODERN = True
except ImportError:
    from mcp.server.fastmcp import Context, FastMCP as Server, Image

    MODERN = False

READS = ToolAnnotations.model_validate({"readOnlyHint": True})

if MODERN or sys.argv[1] == "stdio":
    server = Server("python")
else:
    server = Server("python", port=int(sys.argv[2]))


@server.tool(annotations=READS)
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def boom() -> str:
    """Fails."""
    raise ValueError("it broke: 坏了")


@server.tool()
def picture() -> Image:
    """Draws a picture."""
    return Image(data=b"\x89PNG not really", format="png")


@server.tool()
def person(name: str) -> dict[str, str]:
    """Says who somebody is."""
    return {"name": name, "job": "tester"}


@server.tool()
async def slow(started: str, cancelled: str) -> str:
    """Takes a minute, and notes when it is told not to."""
    pathlib.Path(started).touch()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        pathlib.Path(cancelled).touch()
        raise
    return "late"


@server.tool()
async def grow(ctx: Context) -> str:
    """Adds a tool, and says so."""
    server.add_tool(lambda: "here", name="later", description="Came later.")
    if MODERN:
        await ctx.notify_tools_changed()
    else:
        await ctx.session.send_tool_list_changed()
    return "grown"


print("the server's own words", file=sys.stderr, flush=True)
if sys.argv[1] == "stdio":
    server.run("stdio")
elif MODERN:
    server.run("streamable-http", port=int(sys.argv[2]))
else:
    server.run("streamable-http")
