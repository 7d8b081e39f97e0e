"""The guide's REST API: users in a service, class endpoints, CORS and access lines.

Start it with `make run APP=examples/rest_api.py:app`. The code is the guide's own, word for word, so it is exempt from
what this repository asks of its own: docs/examples.md says what to write differently in an application that lasts.
"""
# fmt: off
# mypy: disable-error-code="no-untyped-def, type-arg"
# ruff: noqa: I001, UP006, UP035, UP045

from velithon import Velithon
from velithon.endpoint import HTTPEndpoint
from velithon.responses import JSONResponse
from velithon.requests import Request
from velithon.di import ServiceContainer, SingletonProvider, inject, Provide
from velithon.middleware import Middleware
from velithon.middleware.cors import CORSMiddleware
from velithon.middleware.logging import LoggingMiddleware
from pydantic import BaseModel
from typing import List, Optional

# Models
class User(BaseModel):
    id: Optional[int] = None
    name: str
    email: str

# Services
class UserService:
    def __init__(self):
        self.users = []
        self.next_id = 1

    async def create_user(self, user_data: dict) -> User:
        user = User(id=self.next_id, **user_data)
        self.users.append(user)
        self.next_id += 1
        return user

    async def get_user(self, user_id: int) -> Optional[User]:
        return next((u for u in self.users if u.id == user_id), None)

    async def get_all_users(self) -> List[User]:
        return self.users

    async def update_user(self, user_id: int, user_data: dict) -> Optional[User]:
        user = await self.get_user(user_id)
        if user:
            for key, value in user_data.items():
                setattr(user, key, value)
        return user

    async def delete_user(self, user_id: int) -> bool:
        user = await self.get_user(user_id)
        if user:
            self.users.remove(user)
            return True
        return False

# Container
class Container(ServiceContainer):
    user_service = SingletonProvider(UserService)

container = Container()

# Endpoints
class UserEndpoint(HTTPEndpoint):
    @inject
    async def get(self, request: Request, user_service: UserService = Provide[container.user_service]):
        """Get all users"""
        users = await user_service.get_all_users()
        return JSONResponse([user.dict() for user in users])

    @inject
    async def post(self, request: Request, user_service: UserService = Provide[container.user_service]):
        """Create a new user"""
        user_data = await request.json()
        user = await user_service.create_user(user_data)
        return JSONResponse(user.dict(), status_code=201)

class UserDetailEndpoint(HTTPEndpoint):
    @inject
    async def get(self, request: Request, user_service: UserService = Provide[container.user_service]):
        """Get user by ID"""
        user_id = int(request.path_params["user_id"])
        user = await user_service.get_user(user_id)

        if not user:
            return JSONResponse({"error": "User not found"}, status_code=404)

        return JSONResponse(user.dict())

    @inject
    async def put(self, request: Request, user_service: UserService = Provide[container.user_service]):
        """Update user"""
        user_id = int(request.path_params["user_id"])
        user_data = await request.json()
        user = await user_service.update_user(user_id, user_data)

        if not user:
            return JSONResponse({"error": "User not found"}, status_code=404)

        return JSONResponse(user.dict())

    @inject
    async def delete(self, request: Request, user_service: UserService = Provide[container.user_service]):
        """Delete user"""
        user_id = int(request.path_params["user_id"])
        success = await user_service.delete_user(user_id)

        if not success:
            return JSONResponse({"error": "User not found"}, status_code=404)

        return JSONResponse({"message": "User deleted"})

# Application
app = Velithon(
    title="User API",
    description="A simple user management API",
    version="1.0.0",
    middleware=[
        Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"]),
        Middleware(LoggingMiddleware)
    ]
)

# Register container
app.register_container(container)

# Routes
app.add_route("/users", UserEndpoint, methods=["GET", "POST"])
app.add_route("/users/{user_id}", UserDetailEndpoint, methods=["GET", "PUT", "DELETE"])

@app.get("/health")
async def health_check():
    return JSONResponse({"status": "healthy"})
