FROM python:3.11-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /srv/manageros
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY manage.py gunicorn.conf.py ./
COPY manageros manageros
COPY accounts accounts
COPY clerk_sync clerk_sync
COPY templates templates
RUN DJANGO_SECRET_KEY=only-for-collectstatic python manage.py collectstatic --noinput
RUN useradd --system manageros
USER manageros
ENV HOST=0.0.0.0
CMD ["gunicorn", "manageros.wsgi:application", "--config", "gunicorn.conf.py"]
