"""A robot and a website as they were written for the system before this one (Python, `websockets`).

old_client.py robot URL DEVICE_ID    sends telemetry at once and every 0.2 s, prints what it receives
old_client.py website URL            prints what it receives, sends the JSON lines of its standard input
"""
import asyncio
import json
import random
import sys

import websockets


class RobotClient:
    def __init__(self, server_url, device_id):
        self.url = f"{server_url}?device_id={device_id}"
        self.device_id = device_id
        self.websocket = None
        self.running = False

    async def connect(self):
        self.websocket = await websockets.connect(self.url)
        self.running = True

    async def send_telemetry(self):
        message = {
            "type": "telemetry",
            "device_id": self.device_id,
            "battery": round(85.0 - random.random(), 1),
            "cpu": round(45.0 + random.random(), 1),
            "temperature": 35.0,
            "signal": 90.0,
        }
        await self.websocket.send(json.dumps(message))

    async def telemetry_loop(self):
        while self.running:
            await self.send_telemetry()
            await asyncio.sleep(0.2)

    async def receive_commands(self):
        while self.running:
            message = await self.websocket.recv()
            data = json.loads(message)
            msg_type = data.get("type")
            if msg_type == "robot_move":
                print(f"COMMAND: Robot move x={data.get('x')}, y={data.get('y')}", flush=True)
            elif msg_type == "camera_move":
                print(f"COMMAND: Camera move x={data.get('x')}, y={data.get('y')}", flush=True)
            elif msg_type == "set_speed":
                print(f"COMMAND: Set speed to {data.get('value')}%", flush=True)
            elif msg_type == "set_brightness":
                print(f"COMMAND: Set brightness to {data.get('value')}%", flush=True)
            else:
                print(json.dumps(data), flush=True)

    async def run(self):
        await self.connect()
        await asyncio.gather(self.telemetry_loop(), self.receive_commands())


async def website(url):
    async with websockets.connect(url) as socket:
        async def send():
            loop = asyncio.get_running_loop()
            while True:
                line = await loop.run_in_executor(None, sys.stdin.readline)
                if not line:
                    return
                await socket.send(line.strip())

        sender = asyncio.ensure_future(send())
        async for message in socket:
            print(message, flush=True)
        sender.cancel()


if __name__ == "__main__":
    if sys.argv[1] == "robot":
        asyncio.run(RobotClient(sys.argv[2], sys.argv[3]).run())
    else:
        asyncio.run(website(sys.argv[2]))
