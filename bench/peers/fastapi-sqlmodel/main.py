"""The four requests of the benchmark, in idiomatic FastAPI and SQLModel: dependencies for the session and the user, one
model for the table, and one for the request body. This program has none of the service's other features."""

import os
from datetime import datetime, timezone
from typing import Annotated, Optional

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import BigInteger, Column, DateTime
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel, not_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

FRONTEND = "http://localhost:3000"
WORKERS = int(os.environ["WORKERS"])

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgres://", "postgresql+asyncpg://"),
    pool_size=int(os.environ["DATABASE_POOL_SIZE"]) // WORKERS,
    max_overflow=0,
)


def now() -> datetime:
    return datetime.now(timezone.utc)


class NewTask(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: Optional[str] = Field(default=None, max_length=1000)
    completed: bool = False
    due_date: Optional[datetime] = Field(default=None, sa_type=DateTime(timezone=True))


class Task(NewTask, table=True):
    __tablename__ = "tasks"

    id: Optional[int] = Field(default=None, sa_column=Column(BigInteger, primary_key=True))
    user_id: str
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))


async def session():
    async with AsyncSession(engine, expire_on_commit=False) as opened:
        yield opened


def caller(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    try:
        claims = jwt.decode(
            credentials.credentials, os.environ["BETTER_AUTH_SECRET"], algorithms=["HS256"],
            issuer=FRONTEND, audience=FRONTEND,
        )
    except jwt.InvalidTokenError:
        raise HTTPException(401)
    return claims["sub"]


Session = Annotated[AsyncSession, Depends(session)]
User = Annotated[str, Depends(caller)]

app = FastAPI()


@app.get("/readyz")
async def ready() -> str:
    return "ready"


@app.get("/api/tasks")
async def list_tasks(user: User, session: Session) -> list[Task]:
    own = select(Task).where(Task.user_id == user)
    return (await session.exec(own.order_by(Task.created_at.desc(), Task.id.desc()))).all()


@app.post("/api/tasks", status_code=201)
async def create_task(new: NewTask, user: User, session: Session) -> Task:
    task = Task.model_validate(new, update={"user_id": user})
    session.add(task)
    await session.commit()
    return task


@app.get("/api/tasks/{task_id}")
async def read_task(task_id: int, user: User, session: Session) -> Task:
    task = (await session.exec(select(Task).where(Task.user_id == user, Task.id == task_id))).first()
    if task is None:
        raise HTTPException(404)
    return task


@app.patch("/api/tasks/{task_id}/complete")
async def toggle_task(task_id: int, user: User, session: Session) -> Task:
    flip = update(Task).where(Task.user_id == user, Task.id == task_id)
    flip = flip.values(completed=not_(Task.completed), updated_at=now()).returning(Task)
    task = (await session.exec(flip)).scalars().first()
    await session.commit()
    if task is None:
        raise HTTPException(404)
    return task
