"use client";
import { useState } from "react";
import { authClient } from "@/lib/auth-client";
import { useHydrated } from "@/lib/hydrated";

export function SignIn() {
  const [isNew, setIsNew] = useState(false);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const hydrated = useHydrated();

  async function submit(form: FormData) {
    const text = (name: string) => String(form.get(name) ?? "");
    const account = { email: text("email"), password: text("password") };
    setBusy(true);
    setError("");
    const { error } = isNew
      ? await authClient.signUp.email({ ...account, name: text("name") })
      : await authClient.signIn.email(account);
    // The page is loaded completely, so that no data of a previous user stays in memory. A client-side navigation would
    // keep it.
    if (!error) return window.location.assign("/");
    setError(error.message || "There is no answer. Check your connection, and try again.");
    setBusy(false);
  }

  return (
    <main className="card narrow">
      <h1>{isNew ? "Create your account" : "Welcome back"}</h1>
      {/* The form does not use `action`, because React resets a form after its action, even if the action has failed. */}
      <form className="stack" onSubmit={(event) => (event.preventDefault(), submit(new FormData(event.currentTarget)))}>
        {isNew && (
          <label>
            Name
            <input name="name" autoComplete="name" required maxLength={200} />
          </label>
        )}
        <label>
          E-mail
          <input name="email" type="email" autoComplete="email" required />
        </label>
        <label>
          Password
          <input
            name="password"
            type="password"
            autoComplete={isNew ? "new-password" : "current-password"}
            required
            minLength={isNew ? 8 : undefined}
            maxLength={128}
          />
        </label>
        <p role="alert">{error}</p>
        <button className="primary" disabled={busy || !hydrated}>
          {isNew ? "Sign up" : "Sign in"}
        </button>
      </form>
      <p className="hint">
        {isNew ? "You have an account? " : "New here? "}
        <button type="button" className="link" onClick={() => (setIsNew(!isNew), setError(""))}>
          {isNew ? "Sign in instead" : "Create an account"}
        </button>
      </p>
    </main>
  );
}
