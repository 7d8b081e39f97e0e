"""The guide's upload service: files are stored in `uploads` and processed by tasks.

Start it with `make run APP=examples/uploads.py:app`. The code is the guide's own, word for word, so it is exempt from
what this repository asks of its own: docs/examples.md says what to write differently in an application that lasts.
"""
# fmt: off
# mypy: disable-error-code="arg-type, assignment, no-untyped-def, operator"
# ruff: noqa: ASYNC230, I001, UP006, UP035

from velithon import Velithon
from velithon.params import File, Form
from velithon.datastructures import UploadFile
from velithon.responses import JSONResponse, HTMLResponse
from velithon.background import BackgroundTasks
from velithon.middleware import Middleware
from velithon.middleware.cors import CORSMiddleware
from pathlib import Path
import uuid
import asyncio
from typing import List

app = Velithon(
    middleware=[
        Middleware(CORSMiddleware, allow_origins=["*"])
    ]
)

# Create upload directory
UPLOAD_DIR = Path("uploads")
UPLOAD_DIR.mkdir(exist_ok=True)

# Background task functions
def process_image(file_path: str, processing_type: str):
    """Simulate image processing (resize, compress, etc.)"""
    print(f"Processing {file_path} with {processing_type}")
    # Simulate processing time
    import time
    time.sleep(2)
    print(f"Finished processing {file_path}")

def send_notification(email: str, filename: str):
    """Simulate sending email notification"""
    print(f"Sending notification to {email} about {filename}")

async def log_upload(filename: str, size: int, user_id: str):
    """Async logging function"""
    await asyncio.sleep(0.1)  # Simulate async database write
    print(f"Logged upload: {filename} ({size} bytes) by user {user_id}")

# Routes
@app.get("/")
async def upload_form():
    """Upload form page"""
    return HTMLResponse("""
    <!DOCTYPE html>
    <html>
    <head>
        <title>File Upload Service</title>
        <style>
            body { font-family: Arial, sans-serif; margin: 40px; }
            form { margin: 20px 0; }
            input, select { margin: 10px 0; display: block; }
            button { background: #007cba; color: white; padding: 10px; border: none; cursor: pointer; }
        </style>
    </head>
    <body>
        <h1>File Upload Service</h1>

        <h2>Single File Upload</h2>
        <form action="/upload" method="post" enctype="multipart/form-data">
            <input type="text" name="user_email" placeholder="Your email" required>
            <input type="text" name="user_id" placeholder="User ID" required>
            <select name="processing_type">
                <option value="resize">Resize</option>
                <option value="compress">Compress</option>
                <option value="thumbnail">Create Thumbnail</option>
            </select>
            <input type="file" name="file" required>
            <button type="submit">Upload File</button>
        </form>

        <h2>Multiple Files Upload</h2>
        <form action="/upload-multiple" method="post" enctype="multipart/form-data">
            <input type="text" name="user_email" placeholder="Your email" required>
            <input type="text" name="user_id" placeholder="User ID" required>
            <input type="file" name="files" multiple required>
            <button type="submit">Upload Files</button>
        </form>
    </body>
    </html>
    """)

@app.post("/upload")
async def upload_file(
    user_email: str = Form(...),
    user_id: str = Form(...),
    processing_type: str = Form("resize"),
    file: UploadFile = File(...)
):
    """Handle single file upload with background processing"""

    # Validate file
    if not file.filename:
        return JSONResponse({"error": "No file provided"}, status_code=400)

    # Validate file size (max 10MB)
    if file.size > 10 * 1024 * 1024:
        return JSONResponse({"error": "File too large (max 10MB)"}, status_code=400)

    # Generate secure filename
    file_extension = Path(file.filename).suffix
    secure_filename = f"{uuid.uuid4()}{file_extension}"
    file_path = UPLOAD_DIR / secure_filename

    # Save file
    content = await file.read()
    with open(file_path, "wb") as f:
        f.write(content)

    # Set up background tasks
    background_tasks = BackgroundTasks(max_concurrent=3)
    background_tasks.add_task(process_image, str(file_path), processing_type)
    background_tasks.add_task(send_notification, user_email, file.filename)
    background_tasks.add_task(log_upload, file.filename, file.size, user_id)

    # Execute background tasks
    await background_tasks(continue_on_error=True)

    return JSONResponse({
        "message": "File uploaded successfully",
        "filename": secure_filename,
        "original_name": file.filename,
        "size": file.size,
        "processing_type": processing_type,
        "status": "processing_started"
    })

@app.post("/upload-multiple")
async def upload_multiple_files(
    user_email: str = Form(...),
    user_id: str = Form(...),
    files: List[UploadFile] = File(...)
):
    """Handle multiple file uploads with batch processing"""

    if not files:
        return JSONResponse({"error": "No files provided"}, status_code=400)

    uploaded_files = []
    background_tasks = BackgroundTasks(max_concurrent=5)

    for file in files:
        # Validate each file
        if file.size > 10 * 1024 * 1024:
            continue  # Skip files that are too large

        # Generate secure filename
        file_extension = Path(file.filename).suffix
        secure_filename = f"{uuid.uuid4()}{file_extension}"
        file_path = UPLOAD_DIR / secure_filename

        # Save file
        content = await file.read()
        with open(file_path, "wb") as f:
            f.write(content)

        # Add to background processing
        background_tasks.add_task(process_image, str(file_path), "batch_resize")
        background_tasks.add_task(log_upload, file.filename, file.size, user_id)

        uploaded_files.append({
            "filename": secure_filename,
            "original_name": file.filename,
            "size": file.size
        })

    # Send single notification for batch upload
    background_tasks.add_task(
        send_notification,
        user_email,
        f"Batch upload of {len(uploaded_files)} files"
    )

    # Execute all background tasks
    await background_tasks(continue_on_error=True)

    return JSONResponse({
        "message": f"Uploaded {len(uploaded_files)} files successfully",
        "files": uploaded_files,
        "status": "batch_processing_started"
    })

@app.get("/status/{filename}")
async def get_processing_status(filename: str):
    """Check if a file exists (simple status check)"""
    file_path = UPLOAD_DIR / filename

    if file_path.exists():
        return JSONResponse({
            "filename": filename,
            "status": "completed",
            "size": file_path.stat().st_size
        })
    else:
        return JSONResponse({
            "filename": filename,
            "status": "not_found"
        }, status_code=404)

if __name__ == "__main__":
    print("Starting File Upload Service...")
    print("Upload directory:", UPLOAD_DIR.absolute())
