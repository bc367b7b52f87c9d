"use client";
import { authClient } from "@/lib/auth-client";

export function Header({ name }: { name: string }) {
  async function signOut() {
    await authClient.signOut();
    window.location.assign("/sign-in");
  }
  return (
    <header>
      <h1>Todo</h1>
      <span className="user">{name}</span>
      <button onClick={signOut}>Sign out</button>
    </header>
  );
}
